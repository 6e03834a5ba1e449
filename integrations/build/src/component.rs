//! From a core module to a component that describes itself.

use bg_manifest::SECTION;
use wasm_encoder::{ComponentSection, CustomSection};
use wasm_metadata::{AddMetadata, AddMetadataField};
use wit_component::ComponentEncoder;

use crate::guests::Guest;
use crate::{BuildError, snapshot};

/// The authors of a guest without a manifest.
const AUTHORS: &str = "The bg-wasm-host authors";

/// The component of a guest whose core module is `module`: started as far as possible, validated, with the manifest and
/// the standard metadata.
pub(crate) fn encode(guest: &Guest, module: Vec<u8>) -> Result<Vec<u8>, BuildError> {
    let module = snapshot::prepared(module)
        .map_err(|error| BuildError::Prepare { id: guest.id.clone(), reason: format!("{error:#}") })?;
    let refuse = |reason: String| BuildError::Encode { id: guest.id.clone(), reason };
    // `{:#}` shows the causes too.
    let component = ComponentEncoder::default()
        .module(&module)
        .and_then(|encoder| encoder.validate(true).encode())
        .map_err(|error| refuse(format!("{error:#}")))?;
    describe(&component, guest).map_err(refuse)
}

/// Adds a component's description: its name, and the custom sections that registries and tools look for.
fn describe(component: &[u8], guest: &Guest) -> Result<Vec<u8>, String> {
    let mut name = AddMetadata::default();
    name.name = AddMetadataField::Set(guest.id.clone());
    let mut component = name.to_wasm(component).map_err(|error| format!("{error:#}"))?;
    let mut add = |name: &str, data: &[u8]| {
        CustomSection { name: name.into(), data: data.into() }.append_to_component(&mut component);
    };
    for (section, text) in about(guest) {
        if !text.is_empty() {
            add(section, text.as_bytes());
        }
    }
    if let Some(manifest) = &guest.manifest {
        add(SECTION, &manifest.to_json());
    }
    Ok(component)
}

/// The standard sections, each a plain text. Tools know them from the annotations of container images.
fn about(guest: &Guest) -> [(&'static str, String); 5] {
    let [version, authors, licenses, description, homepage] = if let Some(manifest) = &guest.manifest {
        let about = manifest.integration.clone();
        [about.version, about.authors.join(", "), about.license, about.description, about.homepage.unwrap_or_default()]
    } else {
        let package = &guest.package;
        let [version, license, description] =
            [&package.version, &package.license, &package.description].map(String::clone);
        [version, AUTHORS.to_owned(), license, description, String::new()]
    };
    [
        ("version", version),
        ("authors", authors),
        ("licenses", licenses),
        ("description", description),
        ("homepage", homepage),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bg_manifest::Manifest;
    use wasmparser::{Parser, Payload};

    use super::*;
    use crate::workspace::Package;

    /// An empty component.
    const EMPTY: [u8; 8] = [0, b'a', b's', b'm', 0x0d, 0, 1, 0];

    fn guest(manifest: Option<&str>) -> Guest {
        Guest {
            id: "mail".into(),
            folder: "integrations/mail".into(),
            package: Package {
                name: "bg-mail".into(),
                description: "Of the package".into(),
                version: "9.9.9".into(),
                license: "MIT".into(),
                dependencies: Vec::new(),
            },
            manifest: manifest.map(|toml| Manifest::parse(toml).unwrap()),
        }
    }

    fn sections(component: &[u8]) -> BTreeMap<String, Vec<u8>> {
        let mut sections = BTreeMap::new();
        for payload in Parser::new(0).parse_all(component) {
            if let Payload::CustomSection(section) = payload.unwrap() {
                let earlier = sections.insert(section.name().to_owned(), section.data().to_vec());
                assert!(earlier.is_none(), "{} occurs twice", section.name());
            }
        }
        sections
    }

    #[test]
    fn a_component_contains_its_manifest_and_its_description() {
        let toml = "[integration]\nid = \"mail\"\nname = \"Mail\"\nversion = \"0.1.0\"\ndescription = \"New mail\"\n\
                    authors = [\"A\", \"B\"]\nlicense = \"Apache-2.0\"\nhomepage = \"https://example.com/\"\n";
        let guest = guest(Some(toml));
        let found = sections(&describe(&EMPTY, &guest).unwrap());
        for (name, text) in [
            ("version", "0.1.0"),
            ("authors", "A, B"),
            ("licenses", "Apache-2.0"),
            ("description", "New mail"),
            ("homepage", "https://example.com/"),
        ] {
            assert_eq!(found.get(name).map(Vec::as_slice), Some(text.as_bytes()), "{name}");
        }
        assert_eq!(Manifest::from_json(&found[SECTION]).ok(), guest.manifest);
        assert!(found["component-name"].ends_with(b"mail"));
    }

    #[test]
    fn a_guest_without_a_manifest_is_described_by_its_package() {
        let found = sections(&describe(&EMPTY, &guest(None)).unwrap());
        assert_eq!(found["version"], b"9.9.9");
        assert_eq!(found["description"], b"Of the package");
        assert!(!found.contains_key("homepage") && !found.contains_key(SECTION));
    }

    #[test]
    fn an_invalid_module_is_refused_by_name() {
        let error = encode(&guest(None), b"not wasm".to_vec()).unwrap_err();
        assert!(error.to_string().starts_with("mail: its module cannot become a component"), "{error}");
    }
}
