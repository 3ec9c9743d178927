use http::Request;
use http::header::AUTHORIZATION;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, get_current_timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::{Authenticate, JwtKey, JwtKeys};
use super::Jwt;

#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
struct User {
    sub: String,
}

const SECRET: [u8; 32] = [7; 32];

fn claims() -> Value {
    json!({"sub": "ann", "iss": "login", "aud": "orders", "exp": get_current_timestamp() + 60})
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

fn without(name: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name);
    claims
}

fn token(header: &Header, claims: &Value) -> String {
    encode(header, claims, &EncodingKey::from_secret(&SECRET).unwrap()).unwrap()
}

fn of_key(id: &str) -> Header {
    Header { kid: Some(id.to_owned()), ..Header::default() }
}

fn jwt() -> (Jwt<User>, JwtKeys) {
    let keys = JwtKeys::new([JwtKey::hs256(SECRET).unwrap().with_id("a")]);
    (Jwt::new(keys.clone(), "login", "orders"), keys)
}

async fn user(jwt: &Jwt<User>, token: &str) -> Option<String> {
    let request = Request::builder().header(AUTHORIZATION, format!("Bearer {token}"));
    let (parts, ()) = request.body(()).unwrap().into_parts();
    match jwt.authenticate(&parts).await {
        Ok(found) => found.map(|found| found.principal().sub.clone()),
        Err(refusal) => {
            assert!(!format!("{refusal:?}").contains(token), "the refusal shows the token");
            None
        }
    }
}

#[tokio::test]
async fn a_token_needs_its_claims() {
    let (jwt, _) = jwt();
    let now = get_current_timestamp();
    let accepted = [
        claims(),
        with("aud", json!(["other", "orders"])),
        // Within the leeway.
        with("exp", json!(now - 30)),
        with("nbf", json!(now + 30)),
        with("exp", json!(u64::MAX)),
    ];
    for claims in accepted {
        let token = token(&of_key("a"), &claims);
        assert_eq!(user(&jwt, &token).await.as_deref(), Some("ann"), "{claims}");
    }
    let refused = [
        without("exp"),
        without("iss"),
        without("aud"),
        without("sub"),
        with("exp", json!(now - 90)),
        with("exp", json!("tomorrow")),
        with("nbf", json!(now + 90)),
        with("iss", json!("another")),
        with("aud", json!("another")),
    ];
    for claims in refused {
        assert_eq!(user(&jwt, &token(&of_key("a"), &claims)).await, None, "{claims}");
    }
}

#[tokio::test]
async fn a_token_is_verified_by_a_configured_key_and_its_algorithm() {
    let (jwt, _) = jwt();
    let jwk = json!({"kty": "oct", "k": "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc"});
    let mut with_keys = of_key("a");
    with_keys.jku = Some("https://evil.example/keys".to_owned());
    with_keys.x5u = Some("https://evil.example/chain".to_owned());
    with_keys.jwk = serde_json::from_value(jwk).ok();
    assert!(user(&jwt, &token(&with_keys, &claims())).await.is_some(), "they are ignored");
    let forged = EncodingKey::from_secret(&[8; 32]).unwrap();
    let forged = encode(&with_keys, &claims(), &forged).unwrap();
    let other_algorithm = Header { alg: Algorithm::HS512, ..of_key("a") };
    let mut critical = of_key("a");
    critical.crit = Some(vec!["exp".to_owned()]);
    for token in [
        forged,
        token(&of_key("b"), &claims()),
        token(&Header::default(), &claims()),
        token(&other_algorithm, &claims()),
        token(&critical, &claims()),
    ] {
        assert_eq!(user(&jwt, &token).await, None);
    }
}

#[tokio::test]
async fn a_token_without_a_signature_is_refused() {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
    let (jwt, _) = jwt();
    let signed = token(&of_key("a"), &claims());
    let claims = signed.split('.').nth(1).unwrap();
    for algorithm in ["none", "None", "NONE", "", "HS256"] {
        let header = BASE64.encode(json!({"alg": algorithm, "kid": "a"}).to_string());
        assert_eq!(user(&jwt, &format!("{header}.{claims}.")).await, None, "{algorithm}");
    }
}

#[tokio::test]
async fn keys_are_replaced_while_the_server_runs() {
    let (jwt, keys) = jwt();
    let of_a = token(&of_key("a"), &claims());
    keys.replace([JwtKey::hs256(SECRET).unwrap().with_id("b")]);
    assert_eq!(user(&jwt, &of_a).await, None);
    assert!(user(&jwt, &token(&of_key("b"), &claims())).await.is_some());
}

/// A public key of another algorithm is not a secret: the classic confusion.
#[tokio::test]
async fn a_public_key_does_not_verify_an_hmac() {
    let pem = "-----BEGIN PUBLIC KEY-----\n\
        MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
        -----END PUBLIC KEY-----\n";
    let keys = JwtKeys::new([JwtKey::eddsa(pem).unwrap()]);
    let jwt: Jwt<User> = Jwt::new(keys, "login", "orders");
    let key = EncodingKey::from_secret(pem.as_bytes()).unwrap();
    let forged = encode(&Header::default(), &claims(), &key).unwrap();
    assert_eq!(user(&jwt, &forged).await, None);
    assert!(JwtKey::rs256(pem).is_err() && JwtKey::es256(pem).is_err());
}
