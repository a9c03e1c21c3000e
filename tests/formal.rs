//! The formal models beside the code: the terms of `tests/formal/terms.pvl`, computed with the real
//! functions, give the bytes of the test vectors, which `tests/vectors` holds against the code.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

use std::collections::{BTreeSet, HashMap};
use std::fs::{read_dir, read_to_string};
use std::path::{Path, PathBuf};

use chacha20poly1305::aead::AeadInOut as _;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit as _};
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

const TERMS: &str = include_str!("formal/terms.pvl");
const COMPUTATIONAL: &str = include_str!("formal/computational.ocv");

/// The keys that HKDF-Expand gives, in the order of their bytes; the exporter is in no term.
const PARTS: [&str; 4] = ["ks_fin", "kc_fin", "k_s2c", "k_c2s"];

type Bytes = Vec<u8>;
type Names = HashMap<String, Bytes>;

/// What a model says, without its comments and variants.
struct Model {
    constants: Names,
    /// Each function's parameters and the tokens of its body.
    functions: HashMap<String, (Vec<String>, Vec<String>)>,
}

impl Model {
    fn new(text: &str) -> Self {
        let mut constants = Names::new();
        for line in text.lines().filter(|line| line.starts_with("const ")) {
            if let Some((declared, comment)) = line.split_once("(* \"") {
                let name = declared["const ".len()..].split(':').next().unwrap();
                let bytes = comment.split('"').next().unwrap();
                constants.insert(name.to_owned(), bytes.as_bytes().to_vec());
            }
        }
        for (part, at) in PARTS.iter().zip(0..) {
            constants.insert((*part).to_owned(), vec![at]);
        }
        let text = without_comments(text);
        let functions = text.split("letfun ").skip(1).map(|rest| {
            let (head, body) = rest.split('.').next().unwrap().split_once('=').unwrap();
            let (name, parameters) = head.split_once('(').unwrap();
            let name_of = |parameter: &str| parameter.split(':').next().unwrap().trim().to_owned();
            let parameters = parameters.split(',').map(name_of).collect();
            (name.to_owned(), (parameters, tokens(body)))
        });
        Self { constants, functions: functions.collect() }
    }

    /// A function of the model, or one that stands for a real one.
    fn call(&self, name: &str, arguments: &[Bytes], fields: &Names) -> Bytes {
        if let Some((parameters, body)) = self.functions.get(name) {
            let mut names = fields.clone();
            names.extend(parameters.iter().cloned().zip(arguments.iter().cloned()));
            let mut term = Term { model: self, names, fields, rest: body };
            let bytes = term.value();
            assert!(term.rest.is_empty(), "{name}: {:?} is left", term.rest);
            return bytes;
        }
        match (name, arguments) {
            ("sha256", [text]) => Sha256::digest(text).to_vec(),
            ("hmac", [key, text]) => hmac(key, text),
            ("hkdf_extract", [salt, key]) => Hkdf::<Sha256>::extract(Some(salt), key).0.to_vec(),
            ("hkdf_expand", [prk, info, part]) => {
                let mut okm = [0; 160];
                Hkdf::<Sha256>::from_prk(prk).unwrap().expand(info, &mut okm).unwrap();
                okm[usize::from(part[0]) * 32..][..32].to_vec()
            }
            ("first16", [bytes]) => bytes[..16].to_vec(),
            ("as_key", [bytes]) => bytes.clone(),
            ("aead", [key, seq, kind, payload]) => {
                let nonce: [u8; 12] = [&[0; 4], &seq[..]].concat().try_into().unwrap();
                let cipher = ChaCha20Poly1305::new_from_slice(key).unwrap();
                let mut sealed = payload.clone();
                let text = sealed.as_mut_slice().into();
                let tag = cipher.encrypt_inout_detached(&nonce.into(), kind, text).unwrap();
                [&sealed[..], &tag].concat()
            }
            _ => panic!("{name} with {} arguments", arguments.len()),
        }
    }
}

/// A term that is computed while it is read.
struct Term<'a> {
    model: &'a Model,
    names: Names,
    fields: &'a Names,
    rest: &'a [String],
}

impl Term<'_> {
    fn next(&mut self) -> &str {
        let (token, rest) = self.rest.split_first().unwrap();
        self.rest = rest;
        token
    }

    fn expect(&mut self, token: &str) {
        assert_eq!(self.next(), token);
    }

    fn value(&mut self) -> Bytes {
        match self.next().to_owned().as_str() {
            "let" => {
                let name = self.next().to_owned();
                if self.rest[0] == "(" {
                    // A hello is taken apart: its fields have the names of the vector's.
                    let end = self.rest.iter().position(|token| token == "in").unwrap();
                    self.rest = &self.rest[end..];
                } else {
                    self.expect("=");
                    let value = self.value();
                    self.names.insert(name, value);
                }
                self.expect("in");
                self.value()
            }
            "(" => self.list().concat(),
            name if self.rest.first().is_some_and(|token| token == "(") => {
                self.expect("(");
                let arguments = self.list();
                self.model.call(name, &arguments, self.fields)
            }
            name => {
                let known = self.names.get(name).or_else(|| self.model.constants.get(name));
                known.unwrap_or_else(|| panic!("nothing is called {name}")).clone()
            }
        }
    }

    fn list(&mut self) -> Vec<Bytes> {
        let mut values = vec![self.value()];
        while self.next() == "," {
            values.push(self.value());
        }
        values
    }
}

/// Comments can be inside comments.
fn without_comments(text: &str) -> String {
    let mut depth = 0;
    let mut kept = String::new();
    for part in text.split_inclusive("*)").flat_map(|part| part.split_inclusive("(*")) {
        let (rest, change) = match (part.strip_suffix("(*"), part.strip_suffix("*)")) {
            (Some(rest), _) => (rest, 1),
            (_, Some(rest)) => (rest, -1),
            _ => (part, 0),
        };
        if depth == 0 {
            kept += rest;
        }
        depth += change;
    }
    kept
}

fn tokens(text: &str) -> Vec<String> {
    let spaced = ["(", ")", ",", "="]
        .iter()
        .fold(text.to_owned(), |text, sign| text.replace(sign, &format!(" {sign} ")));
    spaced.split_whitespace().map(str::to_owned).collect()
}

fn hmac(key: &[u8], text: &[u8]) -> Bytes {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

fn unhex(text: &str) -> Bytes {
    let digits = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digits).collect()
}

fn prefixed(bytes: &[u8]) -> Bytes {
    [&[u8::try_from(bytes.len()).unwrap()], bytes].concat()
}

/// The bytes of each field of the model in one set of vectors. What comes before a field on the
/// wire, a header or a length, belongs to it. Of two flags in one field, the second has its bytes;
/// of the extensions, sealing has the length and its own.
fn fields(set: &Value) -> Names {
    let bytes = |name: &str| unhex(set[name].as_str().unwrap());
    let number = |name: &str| u32::try_from(set[name].as_u64().unwrap()).unwrap().to_be_bytes();
    let (ch, sh) = (bytes("ch"), bytes("sh_unsigned"));
    let sealing = |name: &str| {
        let ext = bytes(name);
        let own = if ext.starts_with(&[0, 1]) { ext.len() } else { 0 };
        let length = u16::try_from(ext.len()).unwrap().to_be_bytes();
        ([&length, &ext[..own]].concat(), ext[own..].to_vec())
    };
    let (suites, ext_c) = sealing("client_ext");
    let (suite, ext_s) = sealing("server_ext");
    let all = [
        ("sg", bytes("sg")),
        ("ver_min", [&ch[..12], &number("ver_min")[3..]].concat()),
        ("ver_max", number("ver_max")[3..].to_vec()),
        ("offered", Bytes::new()),
        ("required", number("client_flags")[2..].to_vec()),
        ("max_c", number("client_max_record").to_vec()),
        ("nonce_c", bytes("nonce_c")),
        ("instance_c", bytes("instance_c")),
        ("kid", prefixed(&bytes("kid"))),
        ("aud", prefixed(&bytes("aud"))),
        ("suites", suites),
        ("ext_c", ext_c),
        ("ver", [&sh[..4], &number("ver")[3..], &number("status")[3..]].concat()),
        ("chosen", number("server_flags")[2..].to_vec()),
        ("max_s", number("server_max_record").to_vec()),
        ("instance_s", bytes("instance_s")),
        ("suite", suite),
        ("ext_s", ext_s),
    ];
    all.map(|(name, bytes)| (name.to_owned(), bytes)).into()
}

fn sets() -> Vec<Value> {
    let file: Value = serde_json::from_str(include_str!("vectors/countersign-1.json")).unwrap();
    file["sets"].as_array().unwrap().clone()
}

#[test]
fn terms_of_the_model_give_the_test_vectors() {
    let model = Model::new(TERMS);
    let sets = sets();
    assert!(sets.len() >= 4, "only {} sets", sets.len());
    for set in &sets {
        let fields = fields(set);
        let call = |name: &str, arguments: &[&[u8]]| {
            let arguments: Vec<Bytes> = arguments.iter().map(|bytes| bytes.to_vec()).collect();
            model.call(name, &arguments, &fields)
        };
        let vector = |name: &str| unhex(set[name].as_str().unwrap());
        let prk = call("prk_of", &[&vector("key")]);
        assert_eq!(prk, vector("prk"));
        let th = call("transcript", &[&vector("sg"), b"", b""]);
        assert_eq!(th, vector("th"), "{}", set["name"]);
        for (part, at) in PARTS.iter().zip(0..) {
            assert_eq!(call("session_key", &[&prk, &th, &[at]]), vector(part), "{part}");
        }
        let mac_s = call("server_proof", &[&prk, &th]);
        assert_eq!(mac_s, vector("mac_s"));
        assert_eq!(call("client_proof", &[&prk, &th, &mac_s]), vector("mac_c"));
        let accept = call("tag", &[&vector("k_s2c"), &[0; 8], &[4, 0, 0, 17], &[0]]);
        assert_eq!(accept, vector("sf")[5..]);
    }
}

#[test]
fn records_of_the_model_are_those_of_the_test_vectors() {
    let model = Model::new(TERMS);
    let mut seen = [0; 2];
    for set in &sets() {
        let seals = set["server_ext"].as_str().unwrap().starts_with("0001");
        for sent in set["sent"].as_array().unwrap() {
            let key = if sent["from"] == "client" { "k_c2s" } else { "k_s2c" };
            let record = unhex(sent["record"].as_str().unwrap());
            let payload = unhex(sent["payload"].as_str().unwrap());
            let (kind, body) = record.split_at(4);
            let arguments = [
                unhex(set[key].as_str().unwrap()),
                sent["seq"].as_u64().unwrap().to_be_bytes().to_vec(),
                kind.to_vec(),
                payload.clone(),
            ];
            if seals {
                assert_eq!(model.call("seal", &arguments, &Names::new()), body);
            } else {
                let tag = model.call("tag", &arguments, &Names::new());
                assert_eq!([payload, tag].concat(), body);
            }
            seen[usize::from(seals)] += 1;
        }
    }
    assert!(seen.iter().all(|&records| records >= 3), "{seen:?}");
}

/// What stands after `quote` and the beginning of all labels, up to the next quote.
fn labels(text: &str, quote: &str) -> BTreeSet<String> {
    let beginning = format!("{quote}countersign/1 ");
    let after = text.split(&beginning).skip(1);
    after.map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}

fn sources(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

#[test]
fn labels_of_the_models_are_those_of_the_code() {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("proto/src"), &mut files);
    let code: String = files.iter().map(|file| read_to_string(file).unwrap()).collect();
    // Messages begin with no `b`.
    let mut code = labels(&code, "b\"");
    assert!(code.remove("pass"), "a passphrase is a key like others in the models");
    assert_eq!(labels(TERMS, "\""), code);
    assert_eq!(labels(COMPUTATIONAL, "\""), code);
}
