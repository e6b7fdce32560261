//! Compares a component's functions with those of the contract, type by type.
//!
//! Types are compared by structure, as the component model does: names of records do not matter, names and order of their
//! fields do. Each difference is told as a path and a sentence. The walk follows the contract's types, so a component cannot
//! make it long.

use wit_parser::{Case, EnumCase, Field, Flag, Function, Handle, Resolve, Type, TypeDefKind, TypeId};

/// Levels of a type that a message shows.
const SHOWN_LEVELS: usize = 4;

/// Bytes of a name that a message shows.
const SHOWN_BYTES: usize = 80;

/// Tells every difference of `given`, a function of a component, from `wanted`, the contract's.
pub(super) fn function(wanted: (&Resolve, &Function), given: (&Resolve, &Function)) -> Vec<String> {
    let mut compare = Compare { wanted: wanted.0, given: given.0, differences: Vec::new() };
    let (wanted, given) = (wanted.1, given.1);
    let name = &wanted.name;
    if wanted.kind.is_async() != given.kind.is_async() {
        compare.differ(name, if given.kind.is_async() { "is async and must not be" } else { "must be async" });
    }
    if wanted.params.len() != given.params.len() {
        let (takes, expected) = (given.params.len(), wanted.params.len());
        compare.differ(name, &format!("takes {takes} parameters and must take {expected}"));
    } else {
        for (wanted, given) in wanted.params.iter().zip(&given.params) {
            compare.types(&format!("{name} → {}", wanted.name), &wanted.ty, &given.ty);
        }
    }
    compare.optional(&format!("{name} → result"), "result", wanted.result.as_ref(), given.result.as_ref());
    compare.differences
}

struct Compare<'a> {
    wanted: &'a Resolve,
    given: &'a Resolve,
    differences: Vec<String>,
}

impl Compare<'_> {
    fn differ(&mut self, path: &str, how: &str) {
        self.differences.push(format!("`{path}`: {how}"));
    }

    fn types(&mut self, path: &str, wanted: &Type, given: &Type) {
        let (Type::Id(wanted_id), Type::Id(given_id)) = (wanted, given) else {
            return self.plain(path, wanted, given);
        };
        let (wanted_resolve, given_resolve) = (self.wanted, self.given);
        let (wanted_kind, wanted_id) = definition(wanted_resolve, *wanted_id);
        let (given_kind, given_id) = definition(given_resolve, *given_id);
        match (wanted_kind, given_kind) {
            (TypeDefKind::Type(wanted), given) if !matches!(given, TypeDefKind::Type(_)) => {
                self.mismatch(path, wanted, &Type::Id(given_id));
            }
            (TypeDefKind::Type(wanted), TypeDefKind::Type(given)) => self.types(path, wanted, given),
            (TypeDefKind::Record(wanted), TypeDefKind::Record(given)) => {
                self.fields(path, &wanted.fields, &given.fields);
            }
            (TypeDefKind::Variant(wanted), TypeDefKind::Variant(given)) => {
                self.cases(path, &wanted.cases, &given.cases);
            }
            (TypeDefKind::Enum(wanted), TypeDefKind::Enum(given)) => {
                let names = |cases: &[EnumCase]| cases.iter().map(|case| case.name.clone()).collect::<Vec<_>>();
                self.names(path, "case", &names(&wanted.cases), &names(&given.cases));
            }
            (TypeDefKind::Flags(wanted), TypeDefKind::Flags(given)) => {
                let names = |flags: &[Flag]| flags.iter().map(|flag| flag.name.clone()).collect::<Vec<_>>();
                self.names(path, "flag", &names(&wanted.flags), &names(&given.flags));
            }
            (TypeDefKind::Option(wanted), TypeDefKind::Option(given)) => self.types(path, wanted, given),
            (TypeDefKind::List(wanted), TypeDefKind::List(given)) => {
                self.types(&format!("{path}[]"), wanted, given);
            }
            (TypeDefKind::Stream(wanted), TypeDefKind::Stream(given))
            | (TypeDefKind::Future(wanted), TypeDefKind::Future(given)) => {
                self.optional(&format!("{path}[]"), "value", wanted.as_ref(), given.as_ref());
            }
            (TypeDefKind::Result(wanted), TypeDefKind::Result(given)) => {
                self.optional(&format!("{path}.ok"), "value", wanted.ok.as_ref(), given.ok.as_ref());
                self.optional(&format!("{path}.err"), "value", wanted.err.as_ref(), given.err.as_ref());
            }
            (TypeDefKind::Tuple(wanted), TypeDefKind::Tuple(given)) if wanted.types.len() == given.types.len() => {
                for (place, (wanted, given)) in wanted.types.iter().zip(&given.types).enumerate() {
                    self.types(&format!("{path}.{place}"), wanted, given);
                }
            }
            (TypeDefKind::Handle(wanted), TypeDefKind::Handle(given))
                if resource(wanted_resolve, wanted) == resource(given_resolve, given) => {}
            _ => self.mismatch(path, &Type::Id(wanted_id), &Type::Id(given_id)),
        }
    }

    /// At least one of the two is a plain type, or an alias of one.
    fn plain(&mut self, path: &str, wanted: &Type, given: &Type) {
        if behind(self.wanted, wanted) != behind(self.given, given) || !is_plain(behind(self.wanted, wanted)) {
            self.mismatch(path, wanted, given);
        }
    }

    fn mismatch(&mut self, path: &str, wanted: &Type, given: &Type) {
        let (wanted, given) = (show(self.wanted, wanted, SHOWN_LEVELS), show(self.given, given, SHOWN_LEVELS));
        self.differ(path, &format!("is `{given}` and must be `{wanted}`"));
    }

    fn optional(&mut self, path: &str, what: &str, wanted: Option<&Type>, given: Option<&Type>) {
        match (wanted, given) {
            (Some(wanted), Some(given)) => self.types(path, wanted, given),
            (Some(wanted), None) => {
                let wanted = show(self.wanted, wanted, SHOWN_LEVELS);
                self.differ(path, &format!("the {what} `{wanted}` is missing"));
            }
            (None, Some(given)) => {
                let given = show(self.given, given, SHOWN_LEVELS);
                self.differ(path, &format!("the {what} `{given}` must not be there"));
            }
            (None, None) => {}
        }
    }

    fn fields(&mut self, path: &str, wanted: &[Field], given: &[Field]) {
        let mut same = true;
        for field in wanted {
            match given.iter().find(|candidate| candidate.name == field.name) {
                Some(candidate) => self.types(&format!("{path}.{}", field.name), &field.ty, &candidate.ty),
                None => {
                    same = false;
                    let ty = show(self.wanted, &field.ty, SHOWN_LEVELS);
                    self.differ(path, &format!("field `{}: {ty}` is missing", field.name));
                }
            }
        }
        let (wanted, given) = (wanted.iter().map(|f| f.name.clone()), given.iter().map(|f| f.name.clone()));
        let (wanted, given): (Vec<_>, Vec<_>) = (wanted.collect(), given.collect());
        self.superfluous(path, "field", &wanted, &given);
        if same {
            self.order(path, "fields", &wanted, &given);
        }
    }

    fn cases(&mut self, path: &str, wanted: &[Case], given: &[Case]) {
        for case in wanted {
            if let Some(candidate) = given.iter().find(|candidate| candidate.name == case.name) {
                self.optional(&format!("{path}.{}", case.name), "payload", case.ty.as_ref(), candidate.ty.as_ref());
            }
        }
        let names = |cases: &[Case]| cases.iter().map(|case| case.name.clone()).collect::<Vec<_>>();
        self.names(path, "case", &names(wanted), &names(given));
    }

    fn names(&mut self, path: &str, what: &str, wanted: &[String], given: &[String]) {
        for name in wanted.iter().filter(|name| !given.contains(name)) {
            self.differ(path, &format!("{what} `{name}` is missing"));
        }
        self.superfluous(path, what, wanted, given);
        self.order(path, &format!("{what}s"), wanted, given);
    }

    fn superfluous(&mut self, path: &str, what: &str, wanted: &[String], given: &[String]) {
        if let Some(name) = given.iter().find(|name| !wanted.contains(name)) {
            self.differ(path, &format!("{what} `{}` must not be there", shorten(name)));
        }
    }

    fn order(&mut self, path: &str, what: &str, wanted: &[String], given: &[String]) {
        if wanted.len() == given.len() && wanted != given && wanted.iter().all(|name| given.contains(name)) {
            self.differ(path, &format!("the {what} must be in the order {}", wanted.join(", ")));
        }
    }
}

/// The definition behind an alias of an alias; an alias of a plain type stays one.
fn definition(resolve: &Resolve, mut id: TypeId) -> (&TypeDefKind, TypeId) {
    while let TypeDefKind::Type(Type::Id(next)) = resolve.types[id].kind {
        id = next;
    }
    (&resolve.types[id].kind, id)
}

fn behind(resolve: &Resolve, ty: &Type) -> Type {
    match ty {
        Type::Id(id) => match definition(resolve, *id) {
            (TypeDefKind::Type(plain), _) => *plain,
            (_, id) => Type::Id(id),
        },
        plain => *plain,
    }
}

fn is_plain(ty: Type) -> bool {
    !matches!(ty, Type::Id(_))
}

/// What a handle refers to: whether it owns, and the resource's name.
fn resource<'a>(resolve: &'a Resolve, handle: &Handle) -> (bool, Option<&'a str>) {
    let (owns, id) = match handle {
        Handle::Own(id) => (true, *id),
        Handle::Borrow(id) => (false, *id),
    };
    let (_, id) = definition(resolve, id);
    (owns, resolve.types[id].name.as_deref())
}

/// A type as WIT writes it; what has a name is shown by its name.
fn show(resolve: &Resolve, ty: &Type, levels: usize) -> String {
    let Type::Id(id) = ty else { return plain_name(ty).to_owned() };
    let definition = &resolve.types[*id];
    if let Some(name) = &definition.name {
        return shorten(name);
    }
    if levels == 0 {
        return "…".to_owned();
    }
    let inner = |ty: &Type| show(resolve, ty, levels - 1);
    let optional = |ty: &Option<Type>| ty.as_ref().map_or("_".to_owned(), inner);
    match &definition.kind {
        TypeDefKind::Option(ty) => format!("option<{}>", inner(ty)),
        TypeDefKind::List(ty) => format!("list<{}>", inner(ty)),
        TypeDefKind::Stream(ty) => format!("stream<{}>", optional(ty)),
        TypeDefKind::Future(ty) => format!("future<{}>", optional(ty)),
        TypeDefKind::Result(result) => format!("result<{}, {}>", optional(&result.ok), optional(&result.err)),
        TypeDefKind::Tuple(tuple) => {
            let types: Vec<_> = tuple.types.iter().take(SHOWN_LEVELS).map(inner).collect();
            format!("tuple<{}>", types.join(", "))
        }
        TypeDefKind::Handle(Handle::Own(id)) => inner(&Type::Id(*id)),
        TypeDefKind::Handle(Handle::Borrow(id)) => format!("borrow<{}>", inner(&Type::Id(*id))),
        TypeDefKind::Type(ty) => inner(ty),
        kind => kind.as_str().to_owned(),
    }
}

fn plain_name(ty: &Type) -> &'static str {
    match ty {
        Type::Bool => "bool",
        Type::U8 => "u8",
        Type::U16 => "u16",
        Type::U32 => "u32",
        Type::U64 => "u64",
        Type::S8 => "s8",
        Type::S16 => "s16",
        Type::S32 => "s32",
        Type::S64 => "s64",
        Type::F32 => "f32",
        Type::F64 => "f64",
        Type::Char => "char",
        Type::String => "string",
        Type::ErrorContext => "error-context",
        Type::Id(_) => "type",
    }
}

/// A component's own name, short enough to be shown.
pub(super) fn shorten(name: &str) -> String {
    match name.len() {
        0..=SHOWN_BYTES => name.to_owned(),
        _ => format!("{}…", &name[..name.floor_char_boundary(SHOWN_BYTES)]),
    }
}
