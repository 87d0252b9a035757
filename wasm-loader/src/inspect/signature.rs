//! Types of functions as text: what two sides that differ can be shown.

use super::contract::STATUS;
use wasmparser::PrimitiveValType;
use wasmparser::component_types::{
    ComponentDefinedType, ComponentDefinedTypeId, ComponentFuncTypeId, ComponentValType, RecordType,
};
use wasmparser::names::KebabString;
use wasmparser::types::TypesRef;

/// Longer types are cut: they are for reading, and a guest can make one that is longer than memory.
const MOST_BYTES: usize = 400;
const CUT: &str = " ..";

/// A function's type, with the contract's own types by their names.
pub(super) fn of(types: TypesRef<'_>, function: ComponentFuncTypeId) -> String {
    let function = &types[function];
    let mut text = Text { types, out: String::new() };
    text.put(if function.async_ { "async func(" } else { "func(" });
    for (at, (_, ty)) in function.params.iter().enumerate() {
        text.put(if at == 0 { "" } else { ", " });
        text.value(ty);
    }
    text.put(")");
    if let Some(result) = &function.result {
        text.put(" -> ");
        text.value(result);
    }
    text.out
}

struct Text<'a> {
    types: TypesRef<'a>,
    out: String,
}

impl Text<'_> {
    fn full(&self) -> bool {
        self.out.len() >= MOST_BYTES
    }

    fn put(&mut self, part: &str) {
        if self.full() {
            return;
        }
        self.out.push_str(part);
        if self.full() {
            self.out.truncate(self.out.floor_char_boundary(MOST_BYTES));
            self.out.push_str(CUT);
        }
    }

    fn value(&mut self, ty: &ComponentValType) {
        if self.full() {
            return;
        }
        match ty {
            ComponentValType::Primitive(primitive) => self.put(&primitive.to_string()),
            ComponentValType::Type(id) => self.defined(*id),
        }
    }

    fn optional(&mut self, ty: Option<&ComponentValType>) {
        match ty {
            Some(ty) => self.value(ty),
            None => self.put("_"),
        }
    }

    fn defined(&mut self, id: ComponentDefinedTypeId) {
        let types = self.types;
        match &types[id] {
            ComponentDefinedType::Primitive(primitive) => self.put(&primitive.to_string()),
            ComponentDefinedType::Record(record) => self.record(record),
            ComponentDefinedType::Enum(cases) => {
                if cases.iter().map(KebabString::as_str).eq(STATUS) {
                    return self.put("status");
                }
                self.names("enum { ", cases.iter().map(KebabString::as_str));
            }
            ComponentDefinedType::Flags(names) => {
                self.names("flags { ", names.iter().map(KebabString::as_str));
            }
            ComponentDefinedType::List { element, .. } => self.wrapped("list<", element),
            ComponentDefinedType::Option { ty, .. } => self.wrapped("option<", ty),
            ComponentDefinedType::FixedLengthList { element, length, .. } => {
                self.put("list<");
                self.value(element);
                self.put(&format!(", {length}>"));
            }
            ComponentDefinedType::Tuple(tuple) => {
                self.put("tuple<");
                for (at, ty) in tuple.types.iter().enumerate() {
                    self.put(if at == 0 { "" } else { ", " });
                    self.value(ty);
                }
                self.put(">");
            }
            ComponentDefinedType::Result { ok, err, .. } => {
                self.put("result<");
                self.optional(ok.as_ref());
                self.put(", ");
                self.optional(err.as_ref());
                self.put(">");
            }
            ComponentDefinedType::Variant(variant) => {
                self.put("variant { ");
                for (at, (name, case)) in variant.cases.iter().enumerate() {
                    self.put(if at == 0 { "" } else { ", " });
                    self.put(name.as_str());
                    if let Some(ty) = &case.ty {
                        self.put("(");
                        self.value(ty);
                        self.put(")");
                    }
                }
                self.put(" }");
            }
            ComponentDefinedType::Own(_) => self.put("a handle"),
            ComponentDefinedType::Borrow(_) => self.put("a borrowed handle"),
            ComponentDefinedType::Map { .. } => self.put("a map"),
            ComponentDefinedType::Future { .. } => self.put("a future"),
            ComponentDefinedType::Stream { .. } => self.put("a stream"),
        }
    }

    fn names<'n>(&mut self, open: &str, names: impl Iterator<Item = &'n str>) {
        self.put(open);
        for (at, name) in names.enumerate() {
            self.put(if at == 0 { "" } else { ", " });
            self.put(name);
        }
        self.put(" }");
    }

    fn wrapped(&mut self, open: &str, ty: &ComponentValType) {
        self.put(open);
        self.value(ty);
        self.put(">");
    }

    fn record(&mut self, record: &RecordType) {
        if self.is_request(record) {
            return self.put("request");
        }
        if self.is_header(record) {
            return self.put("header");
        }
        self.put("record { ");
        for (at, (name, ty)) in record.fields.iter().enumerate() {
            if self.full() {
                return;
            }
            self.put(if at == 0 { "" } else { ", " });
            self.put(name.as_str());
            self.put(": ");
            self.value(ty);
        }
        self.put(" }");
    }

    fn is_request(&self, record: &RecordType) -> bool {
        names(record).eq(["path", "method", "query", "headers"])
            && record.fields.values().take(3).all(|ty| self.is_string(ty))
            && record.fields.values().skip(3).all(|ty| match self.resolved(ty) {
                Some(ComponentDefinedType::List { element, .. }) => match self.resolved(element) {
                    Some(ComponentDefinedType::Record(header)) => self.is_header(header),
                    _ => false,
                },
                _ => false,
            })
    }

    fn is_header(&self, record: &RecordType) -> bool {
        names(record).eq(["key", "value"]) && record.fields.values().all(|ty| self.is_string(ty))
    }

    fn is_string(&self, ty: &ComponentValType) -> bool {
        matches!(ty, ComponentValType::Primitive(PrimitiveValType::String))
            || matches!(
                self.resolved(ty),
                Some(ComponentDefinedType::Primitive(PrimitiveValType::String))
            )
    }

    fn resolved(&self, ty: &ComponentValType) -> Option<&ComponentDefinedType> {
        match ty {
            ComponentValType::Type(id) => Some(&self.types[*id]),
            ComponentValType::Primitive(_) => None,
        }
    }
}

fn names(record: &RecordType) -> impl Iterator<Item = &str> {
    record.fields.keys().map(KebabString::as_str)
}
