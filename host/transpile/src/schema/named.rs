//! Aliases, interfaces and enums of the file.

use oxc::ast::ast::{TSInterfaceDeclaration, TSTypeName, TSTypeParameterDeclaration, TSTypeParameterInstantiation};
use serde_json::{Value, json};

use super::declared::{Meaning, Named, meaning};
use super::intersection::intersect;
use super::marks::is_mark;
use super::values::{enum_schema, merge_objects};
use super::{Bindings, Converted, Refusal, Types, Unfolding};

impl<'a> Types<'a> {
    /// The schema of a type of this file, its parameters bound to `arguments`.
    pub(super) fn unfold(
        &self,
        file: usize,
        name: &'a str,
        named: &[Named<'a>],
        arguments: Option<&TSTypeParameterInstantiation<'a>>,
        bound: &Bindings<'a>,
        unfolding: &mut Unfolding<'a>,
    ) -> Converted {
        if unfolding.open.contains(&(file, name)) {
            unfolding.recursive = true;
            return Ok(json!({}));
        }
        let mut given = Vec::new();
        for argument in arguments.map_or(&[][..], |arguments| arguments.params.as_slice()) {
            given.push(self.convert(argument, bound, unfolding)?);
        }
        unfolding.open.push((file, name));
        let before = std::mem::replace(&mut unfolding.file, file);
        let unfolded = self.merged(named, &given, unfolding);
        unfolding.file = before;
        unfolding.open.pop();
        unfolded
    }

    fn merged(&self, named: &[Named<'a>], given: &[Value], unfolding: &mut Unfolding<'a>) -> Converted {
        let mut merged: Option<Value> = None;
        for one in named {
            let schema = match one {
                Named::Alias(alias) => {
                    let bound = self.bind(alias.type_parameters.as_deref(), given, unfolding)?;
                    self.convert(&alias.type_annotation, &bound, unfolding)?
                }
                Named::Interface(interface) => self.interface(interface, given, unfolding)?,
                Named::Enum(declaration) => enum_schema(declaration),
            };
            match &mut merged {
                None => merged = Some(schema),
                // Interfaces of one name add up.
                Some(merged) => {
                    merge_objects(merged, schema);
                }
            }
        }
        Ok(merged.unwrap_or_else(|| json!({})))
    }

    fn interface(
        &self,
        interface: &TSInterfaceDeclaration<'a>,
        given: &[Value],
        unfolding: &mut Unfolding<'a>,
    ) -> Converted {
        let bound = self.bind(interface.type_parameters.as_deref(), given, unfolding)?;
        let mut schema = json!({"type": "object"});
        for parent in &interface.extends {
            let refused = |unfolding: &Unfolding<'a>| {
                unfolding
                    .unsupported(parent.span, "an interface that extends what is no plain object of the charm's files")
            };
            let TSTypeName::IdentifierReference(identifier) = &parent.type_name else { return refused(unfolding) };
            let name = identifier.name.as_str();
            let arguments = parent.type_arguments.as_deref();
            let (file, named) = match meaning(&self.files, unfolding.file, name) {
                Meaning::Declared(file, named) => (file, named),
                Meaning::Imported(name) | Meaning::Global(name) => {
                    match self
                        .known(name, parent.span, arguments, &bound, unfolding)?
                        .and_then(|known| intersect(known, schema.take()))
                    {
                        Some(both) => schema = both,
                        None => return refused(unfolding),
                    }
                    continue;
                }
            };
            let mark = named.first().map(Named::name).filter(|name| is_mark(name) && arguments.is_some());
            let inherited = match mark {
                Some(mark) => self.classified(mark, arguments, &bound, unfolding)?,
                None => self.unfold(file, name, named, arguments, &bound, unfolding)?,
            };
            match intersect(inherited, schema.take()) {
                Some(both) => schema = both,
                None => return refused(unfolding),
            }
        }
        let own = self.object(&interface.body.body, &bound, unfolding)?;
        if schema.get("asCell").is_none() && schema.get("asStream").is_none() {
            merge_objects(&mut schema, own);
        }
        Ok(schema)
    }

    fn bind(
        &self,
        parameters: Option<&TSTypeParameterDeclaration<'a>>,
        given: &[Value],
        unfolding: &mut Unfolding<'a>,
    ) -> Result<Bindings<'a>, Refusal> {
        let mut bound = Bindings::new();
        for (index, parameter) in parameters.map_or(&[][..], |list| list.params.as_slice()).iter().enumerate() {
            let schema = match (given.get(index), &parameter.default) {
                (Some(given), _) => given.clone(),
                (None, Some(default)) => self.convert(default, &bound, unfolding)?,
                (None, None) => json!({}),
            };
            bound.insert(parameter.name.name.as_str(), schema);
        }
        Ok(bound)
    }
}
