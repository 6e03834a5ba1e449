//! `#[derive(Options)]`: the other forms of command-line options. See `host/cli/src/options`, the only place that uses
//! it.

use proc_macro::TokenStream;
use proc_macro2::TokenTree;
use quote::quote;
use syn::{Attribute, Data, DeriveInput, Field, Fields, Ident, LitStr, Type, parse_macro_input};

/// Implements `crate::options::Options` for a struct whose fields are options, or with `#[command(flatten)]` groups of
/// options.
///
/// - `#[option(command_line)]`: the option has no key in configuration files; neither has a field with `#[arg(skip)]`.
/// - `#[option(key = "…")]`: its key, if that is not its name.
/// - `#[option(unset = "…")]`: what `config check` shows if it is not set, if that is neither the default in its help
///   nor "none".
/// - `#[option(example = "…")]`: its value in the sample file, in TOML, if that is not the default in its help.
/// - `#[option(sample = "…")]`: the same, as a line that is not commented out.
/// - `#[option(table = "…")]`: the same, as lines that begin with `[KEY]`.
#[proc_macro_derive(Options, attributes(option))]
pub fn options(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    implement(&input).unwrap_or_else(|error| error.to_compile_error()).into()
}

/// A field that a configuration file may set.
struct Entry<'a> {
    field: &'a Ident,
    of: &'a Type,
    option: String,
    key: String,
    unset: proc_macro2::TokenStream,
    sample: proc_macro2::TokenStream,
}

fn implement(input: &DeriveInput) -> syn::Result<proc_macro2::TokenStream> {
    let Data::Struct(data) = &input.data else { return Err(wrong(&input.ident)) };
    let Fields::Named(fields) = &data.fields else { return Err(wrong(&input.ident)) };
    let (mut entries, mut groups, mut group_types) = (Vec::new(), Vec::new(), Vec::new());
    for field in &fields.named {
        let Some(name) = &field.ident else { continue };
        if has(&field.attrs, "command", "flatten") {
            groups.push(name);
            group_types.push(&field.ty);
        } else if !has(&field.attrs, "arg", "skip") {
            entries.extend(entry(name, field)?);
        }
    }
    let name = &input.ident;
    let field: Vec<_> = entries.iter().map(|entry| entry.field).collect();
    let of: Vec<_> = entries.iter().map(|entry| entry.of).collect();
    let option: Vec<_> = entries.iter().map(|entry| &entry.option).collect();
    let key: Vec<_> = entries.iter().map(|entry| &entry.key).collect();
    let unset: Vec<_> = entries.iter().map(|entry| &entry.unset).collect();
    let sample: Vec<_> = entries.iter().map(|entry| &entry.sample).collect();
    Ok(quote! {
        impl crate::options::Options for #name {
            fn keys() -> Vec<&'static str> {
                [vec![#(#key),*], #(<#group_types as crate::options::Options>::keys()),*].concat()
            }

            fn read<'de, M: serde::de::MapAccess<'de>>(&mut self, key: &str, map: &mut M) -> Result<bool, M::Error> {
                match key {
                    #(#key => self.#field = crate::options::read(map)?,)*
                    _ => return Ok(false #(|| crate::options::Options::read(&mut self.#groups, key, map)?)*),
                }
                Ok(true)
            }

            fn merge(&mut self, file: Self, base: &std::path::Path) {
                #(crate::options::Field::merge(&mut self.#field, file.#field, base);)*
                #(crate::options::Options::merge(&mut self.#groups, file.#groups, base);)*
            }

            fn changed(&self, other: &Self) -> Vec<&'static str> {
                let mut keys = Vec::new();
                #(if self.#field != other.#field { keys.push(#key); })*
                #(keys.extend(crate::options::Options::changed(&self.#groups, &other.#groups));)*
                keys
            }

            fn rows(&self) -> Vec<crate::options::Row> {
                let mut rows = vec![#(crate::options::Row {
                    option: #option,
                    key: #key,
                    values: crate::options::Field::shown(&self.#field),
                    unset: #unset,
                    sample: #sample,
                    default_shown: <#of as crate::options::Field>::default_shown,
                }),*];
                #(rows.extend(crate::options::Options::rows(&self.#groups));)*
                rows
            }
        }
    })
}

fn wrong(ident: &Ident) -> syn::Error {
    syn::Error::new(ident.span(), "options are the named fields of a struct")
}

/// What is derived for a field; `None` if it is only for the command line.
fn entry<'a>(name: &'a Ident, field: &'a Field) -> syn::Result<Option<Entry<'a>>> {
    let option = name.to_string().replace('_', "-");
    let (mut key, mut unset) = (option.clone(), quote!(None));
    let mut sample = quote!(crate::options::Sample::Default);
    let mut command_line = false;
    for attribute in field.attrs.iter().filter(|attribute| attribute.path().is_ident("option")) {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("command_line") {
                command_line = true;
                return Ok(());
            }
            let name = meta.path.clone();
            let text: LitStr = meta.value()?.parse()?;
            match name.get_ident().map(ToString::to_string).as_deref() {
                Some("key") => key = text.value(),
                Some("unset") => unset = quote!(Some(#text)),
                Some("example") => sample = quote!(crate::options::Sample::Example(#text)),
                Some("sample") => sample = quote!(crate::options::Sample::InForce(#text)),
                Some("table") => sample = quote!(crate::options::Sample::Table(#text)),
                _ => return Err(meta.error("expected command_line, key, unset, example, sample or table")),
            }
            Ok(())
        })?;
    }
    Ok((!command_line).then_some(Entry { field: name, of: &field.ty, option, key, unset, sample }))
}

/// Whether an attribute of that name contains that word, such as `flatten`.
fn has(attributes: &[Attribute], name: &str, word: &str) -> bool {
    let lists = attributes.iter().filter(|attribute| attribute.path().is_ident(name));
    let tokens = lists.filter_map(|attribute| attribute.meta.require_list().ok()).flat_map(|list| list.tokens.clone());
    tokens.into_iter().any(|token| matches!(token, TokenTree::Ident(ident) if ident == word))
}
