# ruff: noqa: E501, SIM905
"""What the bench of `redaction.py` plants: secrets and personal data made at random, in the ways that some 25 languages write them.

`plant(kind, draw)` gives a text and the span of the secret in it. Rules were mended by what every one of these templates showed: nothing
here is held out.
"""

from __future__ import annotations

import base64
import ipaddress
import random
import string
from collections.abc import Callable

ALNUM = string.ascii_letters + string.digits
BASE64 = ALNUM + "+/"
WORDS = "copper maple river quiet orbit velvet candle falcon thunder meadow pepper harbor violet summit walnut ember".split()
FIRST = (
    "Anna Jürgen Maria Wei Priya Olu Søren José Elena Kwame Fatima John Hannah Tomáš Yuki Lars Aisha Pedro Ingrid Noah".split()
)
LAST = "Schmidt Okafor García Lindqvist Nakamura Patel O'Brien Kowalski Müller Haddad Silva Novák Jensen Whitfield Moreau".split()
HOSTS = "acmeworks.io brightlab.de northsea.net kettleco.com fjordsoft.no uni-halle.de tinyfab.co.uk posteo.eu gmail.com".split()

ASSIGNMENTS = (
    '{n} = "{v}"', "os.environ['{N}'] = '{v}'", "const {n} = '{v}';", '  {n}: "{v}",', 'private static final String {N} = "{v}";',
    'val {n} = "{v}"', 'private readonly {n}: string = "{v}";', '{n} := "{v}"', 'const {N}: &str = "{v}";', 'let {n} = "{v}";',
    '#define {N} "{v}"', 'static const char *{n} = "{v}";', 'std::string {n}("{v}");', 'public string {n} = @"{v}";',
    "  :{n} => '{v}',", "{n} = '{v}'", "define('{N}', '{v}');", "${n} = '{v}';", "my ${n} = '{v}';", 'local {n} = "{v}"',
    "export {N}={v}", '{N}="{v}"', '$env:{N} = "{v}"', '{n}: "{v}"', "  {n}: {v}", '  "{n}": "{v}",', '{{"{n}":"{v}"}}',
    "<{n}>{v}</{n}>", '<add key="{n}" value="{v}" />', '<property name="{n}" value="{v}"/>', "{n}={v}", "{n} = {v}", "ENV {N}={v}",
    "ARG {N}={v}", '{n} <- "{v}"', 'config :app, {n}: "{v}"', '{:{n} "{v}"}'.replace("{:", "{{:").replace('"}', '"}}'), '(setq {n} "{v}")',
    'set {n} "{v}"', "SET {n} = '{v}';", "{N} := {v}", "let g:{n} = '{v}'", "tool --{n}={v} run", "tool --{n} {v} run",
    "client.connect({n}='{v}', timeout=3)", 'client.set_{n}("{v}");', "https://api.acmeworks.io/v1?{n}={v}&page=2",
    "'{n}' => '{v}',", "{n} '{v}'", "@{n} = '{v}'",
    "process.env.{N} = '{v}';", 'System.setProperty("{n}", "{v}");', '{n} = r"{v}"', 'auto {n} = std::string{{"{v}"}};', "{N}: '{v}'",
    "spring.datasource.{n}={v}", 'conf["{n}"] = "{v}"', "kubectl create secret generic x --from-literal={n}={v}",
    '<input type="hidden" name="{n}" value="{v}">', '  - name: {N}\n    value: "{v}"', 'environment.put("{N}", "{v}");', '{n}\t=\t"{v}"',
    'const {{ {n} = "{v}" }} = options;', "connect('{n}', '{v}')", 'if ({n} == "{v}") {{', 'Set-Item -Path Env:{N} -Value "{v}"',
    "public string {n} {{ get; set; }} = \"{v}\";", 'val {n}: String = "{v}"', '.{n}("{v}")', '{n} = os.getenv("{N}", "{v}")',
    '@Value("${{{n}:{v}}}")', "dict({n}='{v}', retries=3)", '{n}: Optional[str] = "{v}"', "{n}=>'{v}',",
    "curl -d '{n}={v}' https://api.acmeworks.io", 'login(user="admin", {n}="{v}")', 'config.{n}.default = "{v}"', '"{n}" : [ "{v}" ],',
    '{{"{N}", "{v}"}},', 'Environment="{N}={v}"', "setenv {N} {v}", 'variable "{n}" {{\n  default = "{v}"\n}}', "java -D{n}={v} -jar x.jar",
    "      - {N}={v}", 'let {n} = String::from("{v}");', 'NSString *{n} = @"{v}";', "{n} VARCHAR(64) DEFAULT '{v}'",
    "parser.add_argument('--{n}', default='{v}')", '.with_{n}("{v}".to_string())', 'assert {n} == "{v}"', "// {n}: {v}", "the {n} is {v}",
    "{n} = os.environ.get('X') or '{v}'", '{n}[0] = "{v}"',
)  # fmt: skip
PASSWORD_NAMES = "password db_password dbPassword passwd adminPassword smtp_passwd user_pwd MysqlRootPassword passphrase".split()
KEY_NAMES = "api_key apiKey secret_key access_token auth_token clientSecret token encryption_key app_secret private_token".split()
COMMENTS = (
    "# {}", "// {}", " * {}", "/* {} */", "-- {}", "; {}", "% {}", "<!-- {} -->", '" {}', "{{- {} -}}", "REM {}", "(* {} *)", "! {}",
    "' {}", "dnl {}", ".. {}", "//! {}", "#' {}", '"""{}"""', "\\ {}",
)  # fmt: skip
PHRASES = {
    "email": ("Contact {v} for help", "Author: <{v}>", "mailto:{v}", "bugs to {v}.", "maintainer = '{v}'", "to={v};", "({v})", 'email: "{v}"'),
    "ipv4": ("server at {v}:8080", "host = '{v}'", "ping {v}", "connect to {v}, port 22", "http://{v}/index", "listen {v};", "remote_addr: {v}",
             'ip = "{v}"'),
    "ipv6": ("server at [{v}]:8080", "host = '{v}'", "ping6 {v}", "connect to {v}, port 22", "http://[{v}]/index", "inet6 {v}", "addr: {v}",
             'ip = "{v}"'),
    "name": ("Copyright (c) 2019 {v}", "@author {v}", "Author: {v}", "Written by {v}.", "Signed-off-by: {v} <x>", "Copyright 2012-2020 {v}, Acme Inc.",
             "Maintainer: {v}", "© {v} 2021"),
}  # fmt: skip
URLS = (
    "postgres://app:{v}@db.northsea.net:5432/main", "mysql://root:{v}@10.0.0.4/shop", "https://deploy:{v}@git.acmeworks.io/r.git",
    "redis://:{v}@cache.kettleco.com:6379/0", "amqp://worker:{v}@mq.fjordsoft.no//", "mongodb+srv://svc:{v}@c0.brightlab.de/x",
    "ftp://mirror:{v}@files.tinyfab.co.uk/", "jdbc:oracle://sys:{v}@ora.northsea.net:1521/x", "smtp://mail:{v}@smtp.posteo.eu:587",
    "http://admin:{v}@192.168.7.1/cgi",
)  # fmt: skip
HEADERS = (
    'Authorization: Bearer {v}', '-H "Authorization: Bearer {v}" https://api.acmeworks.io', "headers = {{'Authorization': 'Bearer {v}'}}",
    '"Authorization": "Basic {v}"', 'req.Header.Set("Authorization", "Bearer {v}")', "headers: {{ Authorization: `Bearer {v}` }}",
    'request.setRequestHeader("Authorization", "Basic {v}");', "proxy_set_header Authorization 'Bearer {v}';",
)  # fmt: skip


def random_text(draw: random.Random, alphabet: str, length: int) -> str:
    return "".join(draw.choices(alphabet, k=length))


def _email(draw: random.Random) -> str:
    local = draw.choice(("{a}.{b}", "{a}{n}", "{a}_{b}", "{a}", "{a}+{b}")).format(
        a=draw.choice(WORDS), b=draw.choice(WORDS), n=draw.randrange(99)
    )
    return f"{local}@{draw.choice(HOSTS)}"


def _ipv4(draw: random.Random) -> str:
    while not (address := ipaddress.IPv4Address(draw.randrange(2**24 * 11, 2**24 * 223))).is_global:
        pass
    return str(address)


def _ipv6(draw: random.Random) -> str:
    address = ipaddress.IPv6Address((0x2A00 + draw.randrange(64) << 112) | draw.getrandbits(draw.choice((16, 64, 100))))
    return draw.choice((str(address), address.exploded))


def _name(draw: random.Random) -> str:
    middle = draw.choice(("", "", f" {draw.choice(string.ascii_uppercase)}.", " van der"))
    return f"{draw.choice(FIRST)}{middle} {draw.choice(LAST)}"


def _password(draw: random.Random) -> str:
    kind = draw.random()
    if kind < 0.45:
        return (
            draw.choice(string.ascii_letters)
            + random_text(draw, ALNUM + "!@#%^*_-+?", draw.randrange(8, 15))
            + draw.choice(string.digits)
        )
    if kind < 0.8:
        return f"{draw.choice(WORDS).capitalize()}{draw.randrange(1970, 2026)}{draw.choice('!?#*_')}"
    return "-".join(draw.choices(WORDS, k=draw.randrange(3, 5)))


def _url_password(draw: random.Random) -> str:
    return random_text(draw, ALNUM + "!_-.", draw.randrange(8, 18))


def _key(draw: random.Random) -> str:
    length = draw.choice((24, 32, 40, 64))
    return draw.choice(
        (
            random_text(draw, "0123456789abcdef", max(length, 32)),
            random_text(draw, ALNUM, length),
            random_text(draw, BASE64, 43) + "=",
        )
    )


def _jwt(draw: random.Random) -> str:
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').decode().rstrip("=")
    body = (
        base64.urlsafe_b64encode(f'{{"sub":"{draw.randrange(10**9)}","iat":{draw.randrange(10**9)}}}'.encode())
        .decode()
        .rstrip("=")
    )
    return f"{head}.{body}.{random_text(draw, ALNUM + '-_', 43)}"


def _pem(draw: random.Random) -> str:
    title = draw.choice(("RSA PRIVATE KEY", "EC PRIVATE KEY", "PRIVATE KEY", "OPENSSH PRIVATE KEY"))
    lines = [random_text(draw, BASE64, 64) for _ in range(draw.randrange(3, 20))] + [random_text(draw, BASE64, 30) + "=="]
    return "\n".join([f"-----BEGIN {title}-----", *lines, f"-----END {title}-----"])


def _aws(draw: random.Random) -> str:
    return draw.choice(("AKIA" + random_text(draw, string.ascii_uppercase + "234567", 16), random_text(draw, BASE64, 40)))


def _forge(draw: random.Random) -> str:
    return draw.choice((
        "ghp_" + random_text(draw, ALNUM, 36), "gho_" + random_text(draw, ALNUM, 36), "glpat-" + random_text(draw, ALNUM, 20),
        "github_pat_" + random_text(draw, ALNUM, 22) + "_" + random_text(draw, ALNUM, 59), "npm_" + random_text(draw, ALNUM, 36),
        "pypi-AgEIcHlwaS5vcmc" + random_text(draw, ALNUM + "-_", 90),
    ))  # fmt: skip


def _cloud(draw: random.Random) -> str:
    return draw.choice((
        "AIza" + random_text(draw, ALNUM + "-_", 34) + "Q", "sk_live_" + random_text(draw, ALNUM, 24), "rk_live_" + random_text(draw, ALNUM, 24),
        "SG." + random_text(draw, ALNUM, 22) + "." + random_text(draw, ALNUM, 43), "hf_" + random_text(draw, string.ascii_letters, 34),
        "dop_v1_" + random_text(draw, "0123456789abcdef", 64), "shpat_" + random_text(draw, "0123456789abcdef", 32),
        "sk-ant-api03-" + random_text(draw, ALNUM + "-_", 93) + "AA", "GOCSPX-" + random_text(draw, ALNUM + "-_", 28),
    ))  # fmt: skip


def _chat(draw: random.Random) -> str:
    return draw.choice((
        f"xoxb-{draw.randrange(10**11, 10**12)}-{draw.randrange(10**11, 10**12)}-{random_text(draw, ALNUM, 24)}",
        f"https://hooks.slack.com/services/T{random_text(draw, string.ascii_uppercase, 8)}/B{random_text(draw, string.ascii_uppercase, 8)}/"
        + random_text(draw, ALNUM, 24),
        f"https://discord.com/api/webhooks/{draw.randrange(10**17, 10**18)}/{random_text(draw, ALNUM + '-_', 68)}",
    ))  # fmt: skip


VALUES: dict[str, Callable[[random.Random], str]] = {
    "email": _email, "ipv4": _ipv4, "ipv6": _ipv6, "name": _name, "password": _password, "url password": _url_password, "aws": _aws,
    "forge token": _forge, "cloud key": _cloud, "chat token": _chat, "web token": _jwt, "private key": _pem, "generic key": _key,
    "header": lambda draw: random_text(draw, ALNUM, 40),
}  # fmt: skip


def plant(kind: str, draw: random.Random) -> tuple[str, int, int]:
    """A text and where its secret is."""
    value = VALUES[kind](draw)
    if kind in PHRASES:
        template = draw.choice(COMMENTS).replace("{}", draw.choice(PHRASES[kind])).replace("{{", "{").replace("}}", "}")
        return _filled(template, "x", value)
    if kind == "url password":
        return _filled(draw.choice(ASSIGNMENTS[:30]), "database_url", value, draw.choice(URLS))
    if kind == "header":
        return _filled(draw.choice(HEADERS), "x", value)
    if kind == "private key":
        return _filled(draw.choice(("{v}", '{n} = """{v}"""', "{n} = `{v}`;", "cat > key <<EOF\n{v}\nEOF")), "server_key", value)
    names = {"password": PASSWORD_NAMES, "generic key": KEY_NAMES, "aws": ["aws_secret_access_key"]}.get(kind)
    name = draw.choice(names) if names else draw.choice(("credential", "value", "gh", "config", "token"))
    if kind == "aws" and value.startswith("AKIA"):
        name = "aws_access_key_id"
    return _filled(draw.choice(ASSIGNMENTS), name, value)


def _filled(template: str, name: str, value: str, around: str = "{v}") -> tuple[str, int, int]:
    text = template.replace("{{", "\1").replace("}}", "\2").replace("{n}", name).replace("{N}", name.upper())
    text = text.replace("{v}", around).replace("\1", "{").replace("\2", "}")
    before, _, after = text.partition("{v}")
    after = after.replace("{v}", value)
    return before + value + after, len(before), len(before) + len(value)
