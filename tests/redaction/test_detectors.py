from itertools import pairwise

import pytest

from starloom.redaction import Finding, Kind, find


def kinds(text: str, *, betterleaks: bool = False) -> list[tuple[Kind, str]]:
    found = find(text, betterleaks=betterleaks)
    assert all(text[each.start : each.end] == each.value for each in found)
    assert all(a.end <= b.start for a, b in pairwise(found))
    return [(each.kind, each.value) for each in found]


GITHUB = "ghp_" + "8Zk2Lq9XyW4vT7rP1sN6mB3cF5gH0jD2aE4u"
PEM_BODY = "MIIEowIBAAKCAQEAwJqk3Jt0cS8o9h2Lr0P7n3s1V4w5x6y7z8A9B0C1D2E3F4G5\nH6I7J8K9L0M1N2O3P4Q5R6S7T8U9V0W1X2Y3Z4a5b6c7d8\n"
PEM = "-----BEGIN RSA PRIVATE KEY-----\n" + PEM_BODY + "-----END RSA PRIVATE KEY-----"
TOKEN = "q7Rk2PzX9vLm4TfW8sYc3JdH"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("mail jane.doe+x@mail.uni-ulm.de now", "jane.doe+x@mail.uni-ulm.de"),
        ("<jane@acme.io>", "jane@acme.io"),
        ("jane@acme.io.", "jane@acme.io"),
        ("größe: jürgen@größe.de", "jürgen@größe.de"),
        ('"\\njane@acme.io"', "jane@acme.io"),
        ("mailto:jane@acme.com?x", "jane@acme.com"),
    ],
)
def test_addresses_of_people_are_found(text: str, value: str) -> None:
    assert kinds(text) == [(Kind.EMAIL, value)]


@pytest.mark.parametrize(
    "text",
    [
        "jane@example.com",
        "jane@mail.example.org",
        "a@b.test",
        "git@github.com:a/b",
        "icon@2x.png",
        "lodash@4.17.21",
        "@media screen",
        "x@y",
        "w@self.conj()",
        "A@B.to(device)",
        "https://user@host.com/x",
        "<EMAIL>",
        "a@@b.com",
        "@",
        "jane@",
    ],
)
def test_what_only_looks_like_an_address_stays(text: str) -> None:
    assert kinds(text) == []


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("host = 93.184.216.34", "93.184.216.34"),
        ("ping 93.184.216.34:80", "93.184.216.34"),
        ("from 5.9.7.3 server", None),
        ("server 5.9.7.3", "5.9.7.3"),
        ("ssh root@5.9.7.3 uptime", "5.9.7.3"),
        ("5.9.7.3\tbuild1.acme.io build1", "5.9.7.3"),
        ('connect(("5.9.7.3", 4000))', "5.9.7.3"),
        ("v=spf1 ip6:2a00:1450:4001:81b::200e -all", "2a00:1450:4001:81b::200e"),
        ("2a00:1450:4001:81b::200e", "2a00:1450:4001:81b::200e"),
        ("[2a00:1450:4001:081b:0:0:0:200e]:443", "2a00:1450:4001:081b:0:0:0:200e"),
        ("é 93.184.216.34.", "93.184.216.34"),
    ],
)
def test_public_addresses_are_found(text: str, value: str | None) -> None:
    assert kinds(text) == ([(Kind.IP_ADDRESS, value)] if value else [])


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1 10.1.2.3 192.168.0.7 172.16.9.9 169.254.1.1 0.0.0.0 255.255.255.0 224.0.0.1",
        "8.8.8.8 and 1.1.1.1 and 149.112.112.112",
        "192.0.2.7 198.51.100.3 203.0.113.9 2001:db8::1",
        "version 93.184.216.34",
        "Chrome/93.184.216.34 Safari",
        "foo==93.18.21.34",
        "v93.18.21.34",
        "1.3.6.1.4.1.311",
        "oid 93.18.21.34",
        "300.1.2.3",
        "93.184.216.034",
        "1.2.3.4",
        "93.184.0.0/16",
        "std::abc::def 12:34:56 2023:10:12",
        "fe80::1 ::1 fd00::1",
    ],
)
def test_addresses_of_nobody_stay(text: str) -> None:
    assert kinds(text) == []


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("# Copyright (c) 2012-2024 Jane Doe", ["Jane Doe"]),
        ("# Copyright 2012 Jane Doe and John Q. Miller, Acme Inc.", ["Jane Doe", "John Q. Miller"]),
        (" * @author Jürgen van der Berg", ["Jürgen van der Berg"]),
        ("Signed-off-by: Jean-Luc Picard <x>", ["Jean-Luc Picard"]),
        ("__author__ = 'Jane Doe'", ["Jane Doe"]),
        ("© 2020 Øystein Ås", ["Øystein Ås"]),
        ("# Copyright 2020 Google LLC", []),
        ("# Copyright 2020 The Chromium Authors. All rights reserved.", []),
        ("Copyright (C) 2007 Free Software Foundation, Inc.", []),
        ("# Copyright 2020 <NAME>", []),
        ("# Copyright 2020 Nordic Semiconductor", []),
        ("# (c) 2020 Jane Doe", ["Jane Doe"]),
        ("(c) You must keep Notices in Derivative Works", []),
        ("//  Created by Jane Doe on 12.03.2018.", ["Jane Doe"]),
        ('"Last-Translator: Jane Doe <x>"', ["Jane Doe"]),
        ("\n -- Jane Doe <x>  Mon, 02 Mar 2020", ["Jane Doe"]),
        ("# Jane Doe went home", []),
        ("THE COPYRIGHT HOLDERS PROVIDED BY WHOEVER", []),
        ("# @author jane", []),
    ],
)
def test_names_in_credits(text: str, values: list[str]) -> None:
    assert kinds(text) == [(Kind.NAME, value) for value in values]


@pytest.mark.parametrize(
    "value",
    [
        GITHUB,
        "AKIAQ3EGTX5RZ7YJ2MWN",
        "sk_live_4eC39HqLyjWDarjtT1zdp7dc",
        "xoxb-263594206564-FGqddMF8t08v8N7Oq4i57vs1",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI4MzQ3MjYifQ.dBjftJeZ4CVPmB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        "glpat-Zk2Lq9XyW4vT7rP1sN6m",
        PEM,
        PEM.replace("\n", "\\n"),
    ],
)
def test_keys_that_show_what_they_are(value: str) -> None:
    assert kinds(f"ü😀 {value} ") == [(Kind.KEY, value)]
    assert kinds(f"x{value}") != [(Kind.KEY, value)] or value.startswith("-----")


@pytest.mark.parametrize(
    "text", ["AKIAIOSFODNN7EXAMPLE", "ghp_" + "x" * 36, "sk-your-key-here", "-----BEGIN PRIVATE KEY-----\n...\n"]
)
def test_stand_ins_for_keys_stay(text: str) -> None:
    assert kinds(text) == []


def test_a_private_key_without_its_end_goes_as_far_as_its_letters() -> None:
    text = "-----BEGIN RSA PRIVATE KEY-----\n" + PEM_BODY + "(the rest of the program)"
    [found] = find(text, betterleaks=False)
    assert found.value.endswith("6c7d8\n")


@pytest.mark.parametrize(
    "text",
    [
        'password = "{p}"',
        "'password': '{p}',",
        '"db_password" : "{p}"',
        "DB_PASSWORD={p}\n",
        "password: {p}\n",
        "<password>{p}</password>",
        'define("DB_PASSWORD", "{p}");',
        '#define PASSWORD "{p}"',
        'user.setPassword("{p}");',
        '(setq password "{p}")',
        'set passwd "{p}"',
        'String password = "{p}";',
        'let password: &str = "{p}";',
        'const char *password = "{p}";',
        'password <- "{p}"',
        'password := "{p}"',
        '$password = "{p}";',
        ':password => "{p}",',
        "psql --password={p} -h x",
        "IDENTIFIED BY PASSWORD '{p}'",
        '<property name="password" value="{p}"/>',
    ],
)
def test_passwords_in_the_dialects(text: str) -> None:
    password = "Gx7!kdV2_q"
    assert kinds(text.format(p=password)) == [(Kind.PASSWORD, password)]


@pytest.mark.parametrize(
    "text", ['api_key = "{t}"', "API_KEY={t}\n", "?access_token={t}&x=1", "Authorization: Bearer {t}", "secret: {t}\n"]
)
def test_keys_by_what_they_are_assigned_to(text: str) -> None:
    assert kinds(text.format(t=TOKEN)) == [(Kind.KEY, TOKEN)]


@pytest.mark.parametrize(
    "text",
    [
        "password = get_password(x)",
        "password = self.password",
        "password: str = None",
        'password = "password"',
        'password = "your_password_here"',
        'password = "<PASSWORD>"',
        'password = "changeme"',
        'password = "${DB_PASSWORD}"',
        'getpass("Password: ")',
        'token = "access_token"',
        'api_key = os.environ["API_KEY"]',
        'token_sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"',
        'token = "8c9e3b1e-0f6e-4d2a-9a55-1d2f3a4b5c6d"',
        'secret_name = "projects/my-project/secrets/name"',
        "token = tokenizer.next_token_123",
        "password=hunter(2)",
    ],
)
def test_assignments_without_a_secret_stay(text: str) -> None:
    assert kinds(text) == []


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("postgres://admin:S3cr3tPa55@db.acme.com:5432/x", "S3cr3tPa55"),
        ("https://x:q9Wd7@10.0.0.1/", "q9Wd7"),
        ("mysql://scott:tiger@localhost/x", None),
        ("http://host:8080/a@b", None),
        ("redis://:{}@x".replace("{}", "p4ssWithout_user"), "p4ssWithout_user"),
    ],
)
def test_passwords_in_urls_are_not_mail_addresses(text: str, value: str | None) -> None:
    assert kinds(text) == ([(Kind.PASSWORD, value)] if value else [])


@pytest.mark.parametrize(
    "text",
    [
        "os.environ['DB_PASSWORD'] = 'Maple1994!'",
        'auto password = std::string{"Maple1994!"};',
        '- name: DB_PASSWORD\n  value: "Maple1994!"',
        'public string Password { get; set; } = "Maple1994!";',
        '@Value("${db.password:Maple1994!}")',
        'variable "password" {\n  default = "Maple1994!"\n}',
        'Set-Item -Path Env:PASSWORD -Value "Maple1994!"',
        "setenv DB_PASSWORD Maple1994!",
        "# the password is Maple1994!",
        "CREATE USER app IDENTIFIED BY 'Maple1994!';",
        "connect({ user: 'app', pass: 'Maple1994!' })",
        '"{\\"password\\":\\"Maple1994!\\"}"',
    ],
)
def test_passwords_in_longer_forms(text: str) -> None:
    assert kinds(text) == [(Kind.PASSWORD, "Maple1994!")]


@pytest.mark.parametrize(
    "text",
    [
        f"parser.add_argument('--token', default='{TOKEN}')",
        f"token = os.environ.get('X') or '{TOKEN}'",
        f"secret VARCHAR(64) DEFAULT '{TOKEN}'",
        f"the token for staging is {TOKEN}.",
        f'<string name="maps_api_key">{TOKEN}</string>',
        f"<key>ApiKey</key>\n<string>{TOKEN}</string>",
    ],
)
def test_random_strings_beside_telling_words(text: str) -> None:
    assert kinds(text) == [(Kind.KEY, TOKEN)]


@pytest.mark.parametrize(
    "text",
    [
        "force_length_passive=FiberForceLengthPassiveDeGroote2016,",
        "'bokeh-api-1.4.0.js': 'Y3kNQHt7YjwAfKNIzkiQukIOeEGKzUU3mbSrraUl1KVfrlwQ3ZAMI1Xrw5o3Yg5V',",
        '"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="',
        "token: JwtTokenFactoryV2",
        "Version=4.0.0.0, PublicKeyToken=ddaaa39b4ceebc74",
        "azureservicebus://POLICY:SAS_KEY@SERVICE",
        '_MARKER = ("-----BEGIN RSA PRIVATE KEY-----", "-----END RSA PRIVATE KEY-----")',
        "# ISO 15.2.12.3",
        "fixed in JRuby 9.3.0.0",
        "c1.27 0 2.49.51 3.39 1.42.91.9 1.42",
        "onSocketClose@2932.js:1:727",
    ],
)
def test_what_real_files_hold_beside_secrets_stays(text: str) -> None:
    assert kinds(text, betterleaks=True) == []


def test_findings_are_ordered_values() -> None:
    text = f'a@acme.com {GITHUB} 93.184.216.34 password="Gx7!kdV2_q"'
    found = find(text, betterleaks=False)
    assert found == sorted(found)
    assert [each.kind for each in found] == [Kind.EMAIL, Kind.KEY, Kind.IP_ADDRESS, Kind.PASSWORD]
    assert found[0] == Finding(0, 10, Kind.EMAIL, "a@acme.com", "email")
