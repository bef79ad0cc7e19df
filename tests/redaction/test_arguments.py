import pytest

from starloom.redaction import Kind, find

PASSWORD = "Gx7!kdV2_q"
KEY = "q7Rk2PzX9vLm4TfW8sYc3JdH"


@pytest.mark.parametrize(
    "text",
    [
        "sshpass -p '{}' ssh root@build1",
        "mysqldump -u root -p{} shop > dump.sql",
        "curl -u deploy:{} https://acme.io/upload",
        "docker login -u ci -p {} registry.acme.io",
        "unzip -P {} backup.zip",
        'getConnection("jdbc:mysql://db1/orders", "app", "{}");',
        "new PDO($dsn, 'root', '{}');",
        'requests.get(url, auth=HTTPBasicAuth("svc", "{}"))',
    ],
)
def test_passwords_given_to_commands_and_functions(text: str) -> None:
    [found] = find(text.format(PASSWORD), betterleaks=False)
    assert (found.kind, found.value) == (Kind.PASSWORD, PASSWORD)


@pytest.mark.parametrize(
    "text", ["hmac.new(b'{}', body)", "jwt.encode(payload, '{}', algorithm='HS256')", 'new SecretKeySpec("{}".getBytes(), "AES")']
)
def test_keys_given_to_functions(text: str) -> None:
    [found] = find(text.format(KEY), betterleaks=False)
    assert (found.kind, found.value) == (Kind.KEY, KEY)


@pytest.mark.parametrize(
    "text",
    [
        "mkdir -p build/mysql -pedantic",
        "mysql -u root -p$DB_PASSWORD shop",
        "curl -u $USER:$PASS https://acme.io",
        'socket.connect("db1.acme.io", "main-database")',
        "signal.connect(self, 'clicked', 'on_button_clicked')",
        "hmac.new(key, body).hexdigest() == '8d969eef6ecad3c29a3a629280e686cf0c3f5d5a86aff3ca12020c923adc6c92'",
    ],
)
def test_other_arguments_stay(text: str) -> None:
    assert find(text, betterleaks=False) == []
