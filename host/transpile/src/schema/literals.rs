//! Values that types spell.

use oxc::ast::ast::{TSSignature, TSTupleElement, TSType, TSTypeName, TSTypeOperatorOperator};
use serde_json::{Map, Value, json};

use super::Types;
use super::constants::Reader;
use super::declared::{Meaning, Named, meaning};
use super::values::{key_name, literal_value};

impl<'a> Types<'a> {
    /// The value that a type of literals spells, as the second argument of `Default` does.
    pub(super) fn value(&self, file: usize, ty: &TSType<'a>, reader: &mut Reader) -> Option<Value> {
        reader.within(|reader| self.value_of_type(file, ty, reader))
    }

    fn value_of_type(&self, file: usize, ty: &TSType<'a>, reader: &mut Reader) -> Option<Value> {
        match ty {
            TSType::TSLiteralType(literal) => literal_value(&literal.literal),
            TSType::TSNullKeyword(_) => Some(Value::Null),
            TSType::TSParenthesizedType(inner) => self.value(file, &inner.type_annotation, reader),
            TSType::TSTypeOperatorType(operator) if operator.operator == TSTypeOperatorOperator::Readonly => {
                self.value(file, &operator.type_annotation, reader)
            }
            TSType::TSTypeQuery(query) => self.value_of_query(file, query, reader),
            TSType::TSTupleType(tuple) => {
                tuple.element_types.iter().map(|element| self.element_value(file, element, reader)).collect()
            }
            TSType::TSTypeLiteral(literal) => {
                let mut object = Map::new();
                for member in &literal.members {
                    let TSSignature::TSPropertySignature(property) = member else { return None };
                    let name = key_name(&property.key).filter(|name| name != "__proto__")?;
                    let ty = &property.type_annotation.as_ref()?.type_annotation;
                    // JSON has no `undefined`: such a key is not there.
                    if matches!(ty, TSType::TSUndefinedKeyword(_)) {
                        continue;
                    }
                    object.insert(name, self.value(file, ty, reader)?);
                }
                Some(object.into())
            }
            TSType::TSTypeReference(reference) => {
                let TSTypeName::IdentifierReference(identifier) = &reference.type_name else { return None };
                match (meaning(&self.files, file, identifier.name.as_str()), reference.type_arguments.as_deref()) {
                    (Meaning::Declared(file, [Named::Alias(alias)]), None) => {
                        self.value(file, &alias.type_annotation, reader)
                    }
                    // An object of no keys.
                    (Meaning::Global("Record"), Some(arguments)) => {
                        matches!(arguments.params.get(1)?, TSType::TSNeverKeyword(_)).then(|| json!({}))
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }

    fn element_value(&self, file: usize, element: &TSTupleElement<'a>, reader: &mut Reader) -> Option<Value> {
        match element {
            TSTupleElement::TSOptionalType(_) | TSTupleElement::TSRestType(_) => None,
            element => self.value(file, element.as_ts_type()?, reader),
        }
    }
}
