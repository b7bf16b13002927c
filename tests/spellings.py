"""Secrets as they are written in logs, one place each, and sentences that only speak of them."""

# {} stands for the secret.
SPELLINGS = [
    "Authorization: Bearer {}", "authorization=bearer%20{}", "-H 'Authorization: Basic {}'", "X-Vault-Token: {}",
    '{{"password":"{}"}}', '{{"password" : "{}","a":1}}', r'{{\"password\":\"{}\"}}', r'{{\\\"pwd\\\":\\\"{}\\\"}}',
    "'password': '{}'", 'password = "{} two words"', 'password="two {}"', 'password => "{}"', "password := {}",
    "password=h{}", "password=abc;{}(gh)99zz", "password=it's{}", "password={{cipher}}{}", "password%3D{}%26x",
    r"password\u003d{}", "<password>{}</password>", "user[password]={}", "DB_PASSWORD={}", "MYSQL_ROOT_PASSWORD: {}",
    "AWS_SECRET_ACCESS_KEY={}", "aws_secret_access_key = {}", "API_TOKEN: {}", "VAULT_SECRET_ID={}", "clientSecret={}",
    "apiKey: {}", "x-api-key: {}", "DB_PASS={}", "_authToken={}", "AccountKey={}==", "SharedAccessKey={}=",
    "Server=x;User Id=a;Password={};Timeout=3", "user=root passwd={} host=h", "https://h/?access_token={}&x=1",
    "https://h/x?X-Goog-Signature={}", "https://h/x?sv=1&sig={}", "Cookie: session={}", "Cookie: a=b; JSESSIONID={}",
    "Set-Cookie: sid={}; Path=/", "PHPSESSID={}", "--password {}", "--db-password={}", '["--token","{}"]',
    r'[\"--api-key\", \"{}\"]', "curl -u root:{} http://h", "curl --user 'root:{}' http://h", "IDENTIFIED BY '{}'",
    '{{"name":"DB_PASSWORD","value":"{}"}}', "- name: DB_PASSWORD\n  value: {}\n", "{{Name:API_KEY,Value:{},From:nil}}",
    "redis://:{}@redis:6379/0", "postgres://user:{}@db:5432/x", "amqp://user:pw/{}@mq:5672", "mongodb://u:{}@a:1,b:2/x",
    "postgres://user:pw@{}@db/x", "root:{}@tcp(10.0.0.9:3306)/db", "guest:{}@rabbit:5672", "AUTH {}", "AUTH default {}",
    "password {}", "token {} rejected", "failed to fetch token: Get \"https://h/?token={}\": dial tcp",
    "-----BEGIN RSA PRIVATE KEY-----\nMII{}\n-----END RSA PRIVATE KEY-----", "-----BEGIN EC PRIVATE KEY----- {}",
]  # fmt: skip

# Told by their form, wherever they stand.
KEYS = [
    "AKIAIOSFODNN7EXAMPLE", "ghp_abcdefghijklmnopqrstuvwxyz0123456789", "github_pat_11ABCDEFG0abcdefghijkl_MNOPQRSTUV",
    "SG.abcdefghijklmnopqrstuv.ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789abcdefg", "xoxb-123456789012-abcdefghij",
    "sk_live_abcdefghij123456", "hvs.CAESIJ1234567890abcdefghijklmnop", "s.abcdefghijklmnopqrstuvwx", "ya29.a0AfH6SMBx",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.SflKxwRJSMeKKF2QT4fwpM", "glpat-abcdefghij0123456789",
    "npm_abcdefghijklmnopqrstuvwxyz0123456789", "GOCSPX-abcdefghijklmnopqrst",
]  # fmt: skip

SENTENCES = [
    "password authentication failed for user", "token expired at noon", "dial tcp 10.0.0.1:6379: connection refused",
    "basic usage of the tool", "Secret not found", "cookie consent", "token: invalid", "credential: none",
    "secret: not found", "password: authentication failed for user", '{"password":null,"token":true}', 'token=""',
    'failed to fetch token: Get "http://169.254.169.254/x": dial tcp 169.254.169.254:80: connect: connection refused',
    "could not refresh token: connect ECONNREFUSED 1.2.3.4:443", "cannot fetch token: 503 Service Unavailable",
    "dial tcp token-service:8080: connect: connection refused", "token-service/10.0.0.1:8080", "http://auth-token:80/x",
    "error reading secret: rpc error: code = Unavailable", "password: ${DB_PASSWORD}", "--password is required",
    "Unexpected token < in JSON", "Secret::new", "https://host:8080/a@b", "repo/app:v1@sha256:abc", "cache key=user:12",
    "docker run -u 1000:1000", "token: java.net.ConnectException", "bypass: /healthz", "the sidecar passed",
    'secret "db" not found',
]  # fmt: skip
