# ruff: noqa: E501, SIM905
"""The second set of `redaction.py`: places of secrets and of look-alikes as configuration, shells, logs and 20 languages write them.

`POSITIVES` and `NEGATIVES` are pairs of a kind and a shape. In a positive `§` stands for the value that must be found; all of a negative must
be left alone, and `§word` in it stands for something of `LOOK_ALIKES`, `§hexN`, `§b64xN`, `§pairsN` for N characters or pairs of them.
"""

from __future__ import annotations

import base64
import ipaddress
import random
import re
import string
from collections.abc import Callable

from redaction_templates import ALNUM, BASE64, VALUES, random_text

STATE = (
    "held out when the record redaction-held-out was made (written before a rule was measured on it); rules were mended by it since, "
    "so it is held out no more"
)

POSITIVES = [(kind, shape) for kind, shapes in {
    "password": (
        "machine git.northsea.net login deploy password §", "db1.fjordsoft.no:5432:orders:app:§", "[client]\nuser = backup\npassword = §",
        "mysql -u root -p§ shop < dump.sql", "PGPASSWORD=§ psql -h db -U app orders", "sshpass -p '§' ssh root@build1 uptime",
        "curl -u deploy:§ https://repo.northsea.net/upload", 'echo "admin:§" | chpasswd', 'expect "assword:"\nsend "§\\r"',
        "docker login -u ci -p § registry.northsea.net", 'cs = "Server=db1;Database=orders;User Id=sa;Password=§;Encrypt=true";',
        "Driver={ODBC Driver 17 for SQL Server};Server=db1;UID=sa;PWD=§", 'DriverManager.getConnection("jdbc:mysql://db1/orders", "app", "§");',
        '$db = mysqli_connect("localhost", "shop", "§", "shopdb");', "$pdo = new PDO($dsn, 'root', '§');",
        'psycopg2.connect("host=db1 dbname=orders user=app password=§")', "pymysql.connect(host='db1', user='root', passwd='§', db='orders')",
        "server.login('robot', '§')", "production:\n  adapter: mysql2\n  username: app\n  password: \"§\"",
        'client.Credentials = new NetworkCredential("svc", "§");', 'rdb := redis.NewClient(&redis.Options{Addr: "cache:6379", Password: "§", DB: 0})',
        "mongoose.connect(uri, { user: 'app', pass: '§' });", '  administrator_login_password = "§"', "stringData:\n  admin-password: §",
        "CREATE USER 'app'@'%' IDENTIFIED BY '§';", "ALTER ROLE app WITH LOGIN PASSWORD '§';", "net use Z: \\\\files\\share /user:CORP\\svc §",
        "$secure = ConvertTo-SecureString '§' -AsPlainText -Force", "keytool -importcert -keystore app.jks -storepass § -noprompt",
        "signingConfigs {\n    release {\n        storePassword '§'\n    }\n}", '<property name="password"><value>§</value></property>',
        '<user username="admin" password="§" roles="manager-gui"/>', "build1 ansible_user=ops ansible_ssh_pass=§", "rootpw --plaintext §",
        "ldapsearch -x -D cn=admin,dc=north -w '§' uid=jo", "    - \"root:§\"\n  chpasswd: { expire: false }", "openssl rsa -in k.pem -passin pass:§ -out k2.pem",
        "cy.get('#password').type('§')", 'driver.find_element(By.ID, "password").send_keys("§")', "ENV MYSQL_ROOT_PASSWORD §",
        '"{\\"user\\":\\"app\\",\\"password\\":\\"§\\"}"', "DEBUG login user=jo password=§ from web1", 'setx DB_PASSWORD "§"', "set -gx DB_PASSWORD §",
        'my $dbh = DBI->connect($dsn, "app", "§", { RaiseError => 1 });', 'user, pw = "app", "§"', 'Dim pwd As String = "§"',
        'db = { user = "app", password = "§" }', "grant_type=password&username=app&password=§", "ENV['DB_PASS'] ||= '§'", "DB_PASS ?= §",
        "wpa_passphrase=§", 'const char* wifi_pass = "§";', "requirepass §", "bindpw §",
    ),
    "weak password": (
        "# default login is admin / §", "The admin password is §.", "Password: `§`", 'network={\n  ssid="cafe"\n  psk="§"\n}', "mail.smtp.password=§",
        '{"username": "admin", "password": "§"}', "User.create!(email: mail, password: '§')", "--password=§", "DATABASE_PASSWORD: §", "$password = \"§\";",
        "user.set_password('§')", "unzip -P § backup.zip", "| jo | § | operator |",
    ),
    "url password": (
        "git clone https://ci:§@git.northsea.net/app.git", "SQLALCHEMY_DATABASE_URI = 'mysql+pymysql://app:§@db1/orders'", "http_proxy=http://jo:§@proxy.fjordsoft.no:3128",
        "--extra-index-url https://reader:§@pypi.northsea.net/simple", "CELERY_BROKER_URL: pyamqp://jobs:§@mq:5672/main", "wget ftp://jo:§@files.fjordsoft.no/a.tgz",
        "CLOUDINARY_URL=cloudinary://874837483274837:§@fjord", "rtsp://admin:§@cam1.fjordsoft.no:554/live", "url = \"sqlserver://sa:§@db1?database=orders\"",
        "registry=https://jo:§@npm.northsea.net/", "ldap://cn=admin:§@ldap.northsea.net", "smb://CORP;jo:§@files/share",
    ),
    "generic key": (
        "hmac.new(b'§', body, hashlib.sha256)", "jwt.encode(payload, '§', algorithm='HS256')", "const t = jwt.sign({ id: user.id }, '§', { expiresIn: '1h' });",
        "app.use(session({ secret: '§', resave: false }))", 'app.secret_key = "§"', "crypto.createHmac('sha256', '§').update(body)",
        'new SecretKeySpec("§".getBytes(), "AES")', 'fernet = Fernet(b"§")', "# my api key: §", "# token for staging is §", "INFO using access token § for job 12",
        '{"name": "API_TOKEN", "value": "§"}', "helm upgrade app ./chart --set auth.token=§", '<entry key="apiKey">§</entry>',
        "<key>ApiKey</key>\n<string>§</string>", "[api]\nkey = §", "https://api.weather.tinyfab.co.uk/now?q=Oslo&appid=§", '-H "X-Api-Key: §"',
        "headers: { 'x-auth-token': '§' }", "//npm.northsea.net/:_authToken=§", '<string name="maps_api_key" translatable="false">§</string>',
        '<meta-data android:name="com.acme.ClientToken" android:value="§"/>', "DD_API_KEY=§ dd-agent start", "auth = tweepy.OAuthHandler(consumer_key, '§')",
        'client = Client("AC5f0d3b1c9e2a4768b0d5c3e1f7a92468", "§")', "static let apiSecret = \"§\"", "jobs:\n  deploy:\n    env:\n      DEPLOY_TOKEN: §",
        "var apiKey = flag.String(\"api-key\", \"§\", \"key of the service\")", "vault login §", "consul_acl_token = '§'", "APP_SECRET=§ # production",
        'private const string ApiKey = @"§";', "$config['encryption_key'] = '§';", "-DapiToken=§", "    'secret' => env('API_SECRET', '§'),",
        "secret_key_base: §", "sonar-scanner -Dsonar.login=§", "const wallet = new ethers.Wallet('0x§', provider);", "signing.password=x\nsigning.secretKey=§",
    ),
    "signed key": ("SECRET_KEY = '§'", "define( 'AUTH_KEY',         '§' );", "SESSION_SECRET=\"§\"", "config.secret_token = '§'"),
    "connection key": (
        "DefaultEndpointsProtocol=https;AccountName=fjord;AccountKey=§;EndpointSuffix=core.windows.net", "APP_KEY=base64:§",
        "Endpoint=sb://fjord.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey=§", '"registry.northsea.net": {\n  "auth": "§"\n}',
        "aws configure set aws_secret_access_key §", "boto3.client('s3', aws_access_key_id=key_id, aws_secret_access_key='§')",
        'new BasicAWSCredentials(keyId, "§")', "aws_session_token = §", "    client-key-data: §",
    ),
    "service key": (
        "TOKEN=§", 'bot = Bot("§")', "login § into the service", '  "§",', "https://api.tinyfab.co.uk/v1/§/send", "# §", "client.run('§')", "  api: §",
        "provider \"x\" {\n  token = \"§\"\n}", "return call('§')",
    ),
    "web token": (
        "Set-Cookie: session=§; HttpOnly", '"id_token": "§",', "localStorage.setItem('jwt', '§')", "https://app.tinyfab.co.uk/reset?t=§", "const EXPIRED = '§'",
        "    token: §", "expect(decode('§')).toBeNull()",
    ),
    "private key": (
        "ssh_key: |\n§", 'KEY = """\\\n§\n"""', "const key = `§`", "printf '%s' '§' > key.pem",
    ),
    "key on one line": ('"private_key": "§\\n",', "DEPLOY_KEY='§'", 'private static final String PEM = "§";', "GOOGLE_KEY=\"§\\n\""),
    "header": (
        "Authorization: token §", "Authorization: Token token=\"§\"", '"authorization": "Bot §"', "Proxy-Authorization: Basic §",
        "axios.defaults.headers.common['Authorization'] = 'Bearer §';", '.addHeader("Authorization", "Bearer §")', "metadata=(('authorization', 'Bearer §'),)",
        'new AuthenticationHeaderValue("Bearer", "§")', "CURLOPT_HTTPHEADER => ['Authorization: Bearer §'],", "req['Authorization'] = \"Token §\"",
        "http GET api.tinyfab.co.uk/me Authorization:\"Bearer §\"", "wget --header='Authorization: ApiKey §' https://api.tinyfab.co.uk",
        "Authorization = f\"Bearer §\"", "> Authorization: Bearer §\\r\\n",
    ),
    "email": (
        '"author": "jo <§>"', "\\email{§}", '<a href="mailto:§?subject=bug">', 'git config user.email "§"', "*.go §", " -- Release Robot <§>  Mon, 02 Mar 2020 10:00:00 +0100",
        '"Last-Translator: jo <§>\\n"', "ServerAdmin §", "MAILTO=§", "INSERT INTO users VALUES (4, 'jo', '§', 1);", "12,jo,§,2020-01-04", '["§", null]', "  - §",
        "EMAIL;TYPE=INTERNET:§", 'msg.setFrom(new InternetAddress("§"));', "On Monday § wrote:", "Cc: §, list", "// jo (§)", "<email>§</email>",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJq0bXvT3oR5m1dK8uZcW7yHfG2sLeP9nQa4iVtBxUEM §", "const admins = new Set(['§']);", "From: \"Jo\" <§>", "%%% @author <§>",
    ),
    "ipv4": (
        '§ - - [10/Oct/2020:13:55:36 +0200] "GET / HTTP/1.1" 200 2326', "§\tbuild1.fjordsoft.no build1", "ssh root@§ uptime", "scp app.tgz deploy@§:/srv/app",
        "web1 ansible_host=§ ansible_user=ops", "iptables -A INPUT -s § -j ACCEPT", "  allow from §", "www   IN   A   §", 'cidr_blocks = ["§/32"]',
        "extra_hosts:\n  - \"db:§\"", "Failed password for root from § port 4711 ssh2", "Host prod\n  HostName §\n  User ops", "{ host: '§', port: 9200 }",
        'addr.sin_addr.s_addr = inet_addr("§");', 'ip := net.ParseIP("§")', 'sock.connect(("§", 4000))', "X-Forwarded-For: §", '"publicIp": "§",',
        "v=spf1 ip4:§ -all", "2020-01-04,§,GET", "ip route add default via § dev eth0", "server-ip=§", "neighbor § remote-as 65010", " 3  gw (§)  8.1 ms",
        "hosts = §:9092,kafka2:9092", "# old staging box: §", "export SERVER=§", "DB_HOST=§",
    ),
    "ipv6": (
        "www IN AAAA §", "curl -g 'http://[§]:8080/'", "ip -6 addr add §/128 dev eth0", "ListenAddress §", "§ build1.fjordsoft.no", "Accepted publickey from § port 22",
        "    allow §;", '"remote": "§",', "net.ParseIP(\"§\")", "v=spf1 ip6:§ -all",
    ),
    "name": (
        '"author": "§",', "\\author{§}", 'authors = ["§ <x>"]', "<developer>\n  <name>§</name>\n</developer>", "Author: § [aut, cre]", ".. moduleauthor:: § <x>",
        "__author__ = '§'", "//  Created by § on 12.03.2018.", "Co-authored-by: § <x>", "Reviewed-by: § <x>", "SPDX-FileCopyrightText: 2021 §", "=head1 AUTHOR\n\n§",
        ";; Author: § <x>", "    author='§',", "<author>§</author>", "author:              §", "(c) § 2015", ":Author: §", '<meta name="author" content="§">',
        "* Copyright (C) 2001-2004, 2007 § <x>", "// Author: § (x)", "@author <a href=\"x\">§</a>", "# Contributed by §", "-- Maintainer  : §", "## Author(s): §",
        "% Copyright § 2009.", "\"Last-Translator: § <x>\\n\"", " -- § <x>  Mon, 02 Mar 2020 10:00:00 +0100",
    ),
}.items() for shape in shapes]  # fmt: skip

NEGATIVES = [(kind, shape) for kind, shapes in {
    "hash": (
        'checksum = "§hex64"', "FROM alpine@sha256:§hex64", "Subproject commit §hex40", '"gitHead": "§hex40",', 'ETag: "§hex32"', "§hex32  app-1.2.tar.gz",
        '  sha256 "§hex64"', '    rev = "§hex40";', "uses: actions/checkout@§hex40", 'content-hash = "§hex64"', '{file = "a.whl", hash = "sha256:§hex64"},',
        "Checksums-Sha256:\n §hex64 1234 a.dsc", '"token_sha1": "§hex40"', 'PublicKeyToken=§hex16', "gpg --recv-keys §hex40", "commit §hex40 (HEAD -> main)",
        'resolved "https://codeload.github.com/a/b/tar.gz/§hex40"', 'assertEquals("§hex64", sha256(key));', "known_md5 = {'a.zip': '§hex32'}",
        "#define BUILD_ID \"§hex40\"", "index §hex8..§hex8 100644", "Fingerprint: §pairs20",
        '    "build/main.§hex20.chunk.js",', "ipfs://Qm§b58",
    ),
    "hash in base64": (
        '"integrity": "sha512-§b64x86==",', "github.com/acme/kit v1.2.3 h1:§b64x43=", "script-src 'sha256-§b64x43='", "  hash = \"sha256-§b64x43=\";",
        "Digest: SHA-256=§b64x43=", "SHA256:§b64x43 jo@build1 (ED25519)", "integrity sha1-§b64x27=",
    ),
    "uuid": (
        '[Guid("§uuid")]', 'Project("{§uuid}") = "App", "App.csproj", "{§uuid}"', "urn:uuid:§uuid", '<UpgradeCode>§uuid</UpgradeCode>', "tenant_id: §uuid",
        "session = '§uuid'", 'keyId: "§uuid"', "UUID=§uuid / ext4 defaults 0 1",
    ),
    "public key": (
        "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQ§b64x200 build", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI§b64x43 build",
        "-----BEGIN PUBLIC KEY-----\n§b64x64\n§b64x64\n-----END PUBLIC KEY-----", "-----BEGIN CERTIFICATE-----\nMII§b64x61\n§b64x64\n-----END CERTIFICATE-----",
        "    certificate-authority-data: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk§b64x120", "public_key = \"§hex64\"", "recaptcha.site_key: 6L§b64x38",
    ),
    "version": (
        '[assembly: AssemblyFileVersion("§quad")]', "<Version>§quad</Version>", "Mozilla/5.0 (X11) AppleWebKit/537.36 Chrome/§quad Safari/537.36", '"version": "§quad",',
        "com.acme:kit:§quad", "see section §quad of the manual", "Firmware §quad fixes this", "release §quad (2019-02-03)", "pkg-§quad.tar.gz",
        "apt-get install kit=§quad-1", "#define KIT_VERSION_STRING \"§quad\"", "since v§quad", "upgrade from §quad to §quad", "FROM kit:§quad",
        "gem 'kit', '~> §quad'", "<PackageReference Include=\"Kit\" Version=\"§quad\" />",
    ),
    "object identifier": (
        'KEY_USAGE = "2.5.29.§small"', "static final String CN = \"2.5.4.§small\";", "OID: 2.5.29.§small", "1.3.6.1.4.1.311.§small.2", 'ObjectIdentifier("2.5.29.§small")',
        "oid 1.2.840.113549.1.1.§small", "snmpget -c public sw1 .1.3.6.1.2.1.1.§small.0", "{ 1 2 840 113549 §small }", "id-ce = 2.5.29.§small", "\"2.5.29.§small\": \"extension\",",
        "objectClass ( 1.3.6.1.4.1.4203.§small NAME 'x' )", "new Oid(\"1.3.132.0.§small\")",
    ),
    "class beside token": (
        "token: §class", 'tokenizer_class = "§class"', "{ provide: AUTH_TOKEN, useClass: §class }", '"token": "§class"', "§class token = new §class(lexer);",
        "secret = '§class'", "password_encoder: §class", "key = §class.class", 'apiKey: "§class"', "case token := <-§class:", 'credentials="§class"',
        "Token.register('§class')", "accessToken = §class()", "@Inject(TOKEN) private readonly s: §class", 'add_token("§class")', "tokens = [§class, §class]",
        "secret_backend: §class", "token_type = §class.ACCESS", "<token>§class</token>", "PASSWORD_VALIDATOR = 'kit.auth.§class'",
    ),
    "name of a key": (
        "key = 'uploads/2019/img_0231.png'", "cacheKey = `user:${id}:profile:v2`", "t('checkout.step2.title_key')", 'secretName: "db-credentials-v2"',
        "password_file=/run/secrets/db_pw1", 'token_url = "https://auth.fjordsoft.no/oauth2/v2/token"', "IdentityFile ~/.ssh/id_ed25519_build2", "api_key_header = 'X-Api-Key-V2'",
        '"primaryKey": "customerAddressId1",', "token_endpoint_auth_method: client_secret_post", "HKEY_LOCAL_MACHINE\\SOFTWARE\\Acme\\Kit2", "PASSWORD_RESET_TIMEOUT = 259200",
        "secretKeyRef:\n  name: db1\n  key: password2", "API_KEY_ENV = 'KIT_API_KEY_V2'", 'password_field = "input#login-pw1"', "PASS_MIN_LEN 12",
        "token = \"urn:ietf:params:oauth:token-type:id_token\"", "passwordRule: AtLeast8Chars1Digit", "ssh_key_name = \"build-key-2019\"", "key_algorithm = 'RSA_2048_SHA256'",
        "\"keyboard_shortcut_token\": \"Ctrl+Shift+F12\"", "--password-stdin", "token_budget=128000",
    ),
    "computed": (
        "password=$DB_PASSWORD", "NPM_TOKEN: ${{ secrets.NPM_TOKEN }}", "\"postgres://%(user)s:%(password)s@%(host)s/x\"", 'password: "{{ vault_db_password }}"',
        "password: <%= ENV['DB_PASS'] %>", "token = hashlib.sha256(seed).hexdigest()[:32]", "password = getpass.getpass('Password (8+ chars): ')", "apiKey: import.meta.env.VITE_API_KEY,",
        "String token = UUID.randomUUID().toString();", "password := os.Getenv(\"DB_PASS1\")", "const secret = crypto.randomBytes(32).toString('hex')", "http://${USER}:${PASS}@proxy1:3128",
        "'password' => bcrypt($request->password),", "secret = data.vault_generic_secret.db1.data[\"pw\"]", "TOKEN=$(cat /run/token1 | base64 -d)", "if password1 != password2:",
        "token = tokens[i + 1].value", "password=\"$(pwgen -s 24 1)\"", "Authorization: Bearer ${TOKEN1}", "password: process.argv[2] || null,",
    ),
    "placeholder": (
        'api_key = "REPLACE_WITH_YOUR_KEY_1"', "token: <your-token-here>", 'password = "********"', "API_SECRET=xxxxxxxxxxxxxxxxxxxxxxxx", "aws_access_key_id = AKIAIOSFODNN7EXAMPLE",
        "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", 'token = "0123456789abcdef0123456789abcdef"', "https://user:password@host/path", "password: string",
        '{"type": "string", "format": "password"}', '<input type="password" placeholder="Password (8+)">', "TOKEN=abcdefghijklmnopqrstuvwxyz123456", "secret: !!set-me-1!!",
        "DB_PASSWORD=", "password: ''", "Authorization: Bearer <access_token>", "api_key: 'YOUR_API_KEY'", "sk_test_XXXXXXXXXXXXXXXXXXXXXXXX", "passwd: TODO-fill-in-2",
        "export TOKEN=...", "-----BEGIN RSA PRIVATE KEY-----\n...\n-----END RSA PRIVATE KEY-----", 'password = "[REDACTED]"',
    ),
    "data": (
        "src: url(data:font/woff2;base64,d09GMgABAAAAA§b64x150)", "//# sourceMappingURL=data:application/json;base64,eyJ2ZXJzaW9uIjozLCJ§b64x120", 'static const char png[] = "iVBORw0KGgoAAAANSUhEUg§b64x90";',
        '<path d="M12.7 4.1c1.2.8 2.9.1 3.4 1.6l-.2.9z"/>', '"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"', "<data encoding=\"base64\">eJ§b64x100</data>",
        '      "image/png": "iVBORw0KGgoAAAANSUhEUgAA§b64x160\\n",', "seq = 'ACGTTGCAAGGCTATTCGCGATAAGCTT'", "'key': b'\\x0b\\x0b\\x0b\\x0b\\x0b\\x0b\\x0b\\x0b\\x0b\\x0b'", "0x6a09e667f3bcc908, 0xbb67ae8584caa73b,",
        "mappings: 'AAAA;AACA,SAASA,GAAGC,IAAI;EACd,OAAOC'", "00:1a:2b:§pairs3 eth0",
    ),
    "no mail": (
        "alice@example.org", "npm install kit@§semver", "git clone git@github.com:acme/kit.git", "logo@2x.png", "getty@tty1.service", "https://medium.com/@jo/post", "java.lang.Object@1b2c3d4e",
        "user@localhost", '"%s@%s" % (user, host)', "@media.print", "root@build1:~#", "ssh ops@$HOST", "image: kit@sha256:§hex64", "<b>@Model.Name</b>", "yarn add @acme/kit@^§semver", "kit@§semver: resolved",
        "@user.name", "x@y = matmul(x, y)", "foo@bar.invalid", "mailto:someone@example.com",
    ),
    "no address": (
        "listen 127.0.0.1:8080;", "bind = 0.0.0.0", "subnet 10.§small.0.0/16", "netmask 255.255.255.0", "http://169.254.169.254/latest/meta-data", "192.0.2.§small - - [x]", "203.0.113.§small",
        "inet6 fe80::§hexs/64", "2001:db8::§hexs", "nameserver 8.8.8.8", "172.16.§small.1 gw", "192.168.1.§small router", "multicast 224.0.0.251", "allow ::1;", "std::chrono::seconds", "at 12:34:56",
        "0.0.0.0/0", "cc:dd::ee = Foo::Bar",
    ),
    "company": (
        "Copyright (c) 2015 §company", "Author: §company", "(c) §company 2009", "@author §company", "Copyright 2012-2020 §company and contributors", '"author": "§company",', "Maintainer: §company",
        "SPDX-FileCopyrightText: 2021 §company", "Author: The Kettle Open Source Project", "Written by Hand", "Created by Code Generator on 12.03.2018", "Copyright The Kit Authors. All Rights Reserved.",
        "Author: Unknown", "Maintainer: Release Engineering Team", "# Contributed by §company", "    author='§company',",
    ),
}.items() for shape in shapes]  # fmt: skip

PERSONS = (
    "Rasmus Holm;Chiara Bianchi;Dmitri Volkov;Mary-Jane Watson;J. R. Hartley;Ludwig von Thalberg;María del Carmen Ruiz;Chen Xiaoming;Nguyễn Văn An;Oleg A. Petrov;"
    "Siobhán Ní Bhriain;Thabo Dlamini;Ayşe Yılmaz;Kim Min-jun;Guillaume Lefèvre;Bob McAllister;Arjun Venkataraman;Łukasz Wójcik;Hiroshi Tanaka;Esther de Vries"
).split(";")  # fmt: skip
COMPANIES = (
    "Siemens AG;Nordic Semiconductor ASA;Google LLC;Facebook, Inc. and its affiliates;Contoso GmbH & Co. KG;Red Hat;University of Oulu;Microsoft Corporation;Sun Microsystems;IBM Corp.;"
    "Intel Corporation;Oracle and/or its affiliates;The Apache Software Foundation;ARM Limited;Huawei Technologies;Deutsche Telekom;Texas Instruments;Free Software Foundation;Twitter;"
    "Analog Devices;Samsung Electronics;Mozilla Foundation;Linaro Ltd;Bosch Sensortec;Digital Ocean;Cisco Systems;Trail of Bits;Fraunhofer Institute;Max Planck Society;Pivotal Software"
).split(";")  # fmt: skip
CLASSES = "Jwt Bearer Access Refresh Opaque Right Paren String Literal Session Csrf Http Basic Signed Legacy Remote Cached Async Identity Key".split()
ENDINGS = "Provider Factory Handler Interceptor Validator Tokenizer TokenizerFast Store Parser Manager Impl Strategy Resolver Service".split()
HEX = "0123456789abcdef"
MAIL_HOSTS = "web.de proton.me ucl.ac.uk nimbus-labs.com Corp.COM mail.ru cs.cornell.edu yahoo.co.jp startup.ai kth.se".split()
WEAK = "admin letmein Welcome qwerty pass secret dragon test root hello Monkey P@ssw0rd p4ssw0rd S3cret".split()


def _email(draw: random.Random) -> str:
    first, last = (
        draw.choice("jane r.k.holm Chiara dmitri mary-jane t_dlamini oleg.p x".split()),
        draw.choice(("", "42", ".volkov", "+lists", "-dev")),
    )
    return f"{first}{last}@{draw.choice(MAIL_HOSTS)}"


def _ipv4(draw: random.Random) -> str:
    highest = draw.choice((40, 255, 255))
    while (
        not (address := ipaddress.IPv4Address(bytes(draw.randrange(5, highest) for _ in range(4)))).is_global
        or address.is_multicast
    ):
        pass
    return str(address)


def _ipv6(draw: random.Random) -> str:
    return str(
        ipaddress.IPv6Address(
            (draw.choice((0x2001067C, 0x26064700, 0x2A0104F8, 0x24048000)) << 96) | draw.getrandbits(draw.choice((12, 48, 90)))
        )
    )


def _password(draw: random.Random) -> str:
    return draw.choice((
        random_text(draw, string.ascii_lowercase + string.digits, 9) + draw.choice(string.digits), random_text(draw, ALNUM, 16),
        random_text(draw, ALNUM, 6) + draw.choice("!#%*+") + random_text(draw, string.digits, 3), draw.choice(PERSONS[:3]).split()[0] + random_text(draw, string.digits, 4) + "!",
        "-".join(random_text(draw, string.ascii_lowercase + string.digits, 5) for _ in range(3)) + "7",
    ))  # fmt: skip


def _weak(draw: random.Random) -> str:
    return draw.choice(WEAK) + str(draw.choice((1, 12, 123, 1234, 2019, 99))) + draw.choice(("", "", "!"))


def _key(draw: random.Random) -> str:
    return draw.choice(
        (
            random_text(draw, HEX, 32),
            random_text(draw, HEX, 64),
            random_text(draw, ALNUM, 20),
            random_text(draw, ALNUM + "-_", 36) + "a",
        )
    )


def _service(draw: random.Random) -> str:
    upper = string.ascii_uppercase + string.digits
    return draw.choice((
        str(draw.randrange(10**9, 10**10)) + ":AA" + random_text(draw, ALNUM + "-_", 33), "key-" + random_text(draw, HEX, 32), random_text(draw, HEX, 32) + "-us14",
        "sq0atp-" + random_text(draw, ALNUM + "-_", 22), "dapi" + random_text(draw, HEX, 32), "lin_api_" + random_text(draw, ALNUM, 40), "ntn_" + random_text(draw, ALNUM, 46),
        "sk-proj-" + random_text(draw, ALNUM, 20) + "T3BlbkFJ" + random_text(draw, ALNUM, 20), "gsk_" + random_text(draw, ALNUM, 52), "hvs." + random_text(draw, ALNUM, 90),
        "oy2" + random_text(draw, string.ascii_lowercase + "234567", 43), "AGE-SECRET-KEY-1" + random_text(draw, "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", 58), "ya29." + random_text(draw, ALNUM + "-_", 68),
        "glsa_" + random_text(draw, ALNUM, 32) + "_" + random_text(draw, HEX, 8), "dckr_pat_" + random_text(draw, ALNUM + "-_", 27), "AKCp" + random_text(draw, ALNUM, 69),
        "xoxp-" + "-".join(str(draw.randrange(10**10, 10**12)) for _ in range(3)) + "-" + random_text(draw, HEX, 32), "xapp-1-A" + random_text(draw, upper, 10) + f"-{draw.randrange(10**12, 10**13)}-" + random_text(draw, HEX, 64),
        "whsec_" + random_text(draw, ALNUM, 32), "EAACEdEose0cBA" + random_text(draw, ALNUM, 120), "ASIA" + random_text(draw, string.ascii_uppercase + "234567", 16),
        "M" + random_text(draw, ALNUM, 23) + "." + random_text(draw, ALNUM, 6) + "." + random_text(draw, ALNUM + "-_", 27),
    ))  # fmt: skip


def _connection(draw: random.Random) -> str:
    return base64.b64encode(draw.randbytes(draw.choice((30, 32, 64)))).decode()


SHAPE_VALUES: dict[str, Callable[[random.Random], str]] = {
    "email": _email, "ipv4": _ipv4, "ipv6": _ipv6, "name": lambda draw: draw.choice(PERSONS), "password": _password, "weak password": _weak,
    "url password": lambda draw: random_text(draw, ALNUM, 8) + draw.choice(("", "!x", "%40Z", ".9")), "generic key": _key,
    "signed key": lambda draw: random_text(draw, ALNUM + "!@#$%^&*(-_=+)", 49) + "x", "connection key": _connection, "service key": _service,
    "header": lambda draw: draw.choice((_key(draw), random_text(draw, ALNUM, 27), base64.b64encode(f"svc:{_password(draw)}".encode()).decode())),
    "key on one line": lambda draw: VALUES["private key"](draw).replace("\n", "\\n"),
}  # fmt: skip
LOOK_ALIKES: dict[str, Callable[[random.Random], str]] = {
    "uuid": lambda draw: "-".join(random_text(draw, HEX, each) for each in (8, 4, 4, 4, 12)),
    "quad": lambda draw: ".".join(str(draw.randrange(most)) for most in draw.choice(((12, 30, 9, 20), (120, 1, 6000, 250), (20, 10, 200, 100)))),
    "small": lambda draw: str(draw.randrange(1, 60)), "class": lambda draw: "".join(draw.sample(CLASSES, 2)) + draw.choice(ENDINGS) + draw.choice(("", "2", "V2")),
    "company": lambda draw: draw.choice(COMPANIES), "semver": lambda draw: f"{draw.randrange(20)}.{draw.randrange(30)}.{draw.randrange(9)}",
    "hexs": lambda draw: random_text(draw, HEX, 4).lstrip("0") or "1", "b58": lambda draw: random_text(draw, ALNUM, 44),
}  # fmt: skip
_MARK = re.compile(rf"§(?:(hex|b64x|pairs)(\d+)|({'|'.join(LOOK_ALIKES)}))")


def plant_shape(kind: str, shape: str, draw: random.Random) -> tuple[str, int, int]:
    """A positive's text and where its secret is."""
    value = (SHAPE_VALUES.get(kind) or VALUES[kind])(draw)
    before, _, after = shape.partition("§")
    return before + value + after, len(before), len(before) + len(value)


def look_alike(shape: str, draw: random.Random) -> str:
    """A negative's text."""
    return _MARK.sub(lambda mark: _look_alike(mark, draw), shape)


def _look_alike(mark: re.Match[str], draw: random.Random) -> str:
    form, length, name = mark.groups()
    if name:
        return LOOK_ALIKES[name](draw)
    if form == "pairs":
        return ":".join(random_text(draw, HEX, 2) for _ in range(int(length)))
    return random_text(draw, HEX if form == "hex" else BASE64, int(length))
