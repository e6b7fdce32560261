//! Reads a filter's JSON.

use regex::RegexBuilder;
use serde_json::{Map, Value};

use super::Invalid;
use super::condition::Condition;
use super::operator::{Operand, Operator};
use super::reference::Reference;

/// Objects and lists inside each other.
const DEPTH_MAX: usize = 12;
/// Values, names and operators of a filter.
const NODES_MAX: usize = 512;
/// Bytes of a filter's JSON.
const BYTES_MAX: usize = 16 << 10;
/// Bytes that one compiled pattern may take.
const PATTERN_BYTES_MAX: usize = 128 << 10;
/// What a pattern counts among the nodes, since it is that much dearer than a comparison.
const PATTERN_NODES: usize = 32;

/// Each operator's name, without the dollar.
const OPERATORS: [&str; 17] = [
    "eq",
    "neq",
    "gt",
    "gte",
    "lt",
    "lte",
    "in",
    "nin",
    "contains",
    "startsWith",
    "endsWith",
    "exist",
    "regex",
    "or",
    "and",
    "not",
    "ref",
];
/// Other spellings.
const ALIASES: [(&str, &str); 4] =
    [("exists", "exist"), ("starts_with", "startsWith"), ("ends_with", "endsWith"), ("ne", "neq")];

/// How operators are told from members.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    /// By the dollar before them.
    Dollar,
    /// By their names alone, where no other name stands beside them.
    Bare,
}

/// Reads a whole filter.
pub(super) fn conditions(source: &Value, names: Names) -> Result<Condition, Invalid> {
    let bytes = source.to_string().len();
    if bytes > BYTES_MAX {
        return Err(Invalid::new("", format_args!("is {bytes} bytes of JSON; allowed: {BYTES_MAX}")));
    }
    let mut parser = Parser { names, nodes: NODES_MAX };
    parser.condition(source, &Place { path: "", depth: 0 })
}

struct Parser {
    names: Names,
    /// How many more there may be.
    nodes: usize,
}

/// Where in the filter.
struct Place<'a> {
    path: &'a str,
    depth: usize,
}

impl Place<'_> {
    fn join(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    fn wrong(&self, message: impl std::fmt::Display) -> Invalid {
        Invalid::new(self.path, message)
    }
}

impl Parser {
    fn condition(&mut self, source: &Value, place: &Place<'_>) -> Result<Condition, Invalid> {
        self.count(1, place)?;
        match source {
            Value::Object(object) => self.object(object, place),
            Value::Array(_) => self.list(source, place).map(Condition::Each),
            value => Ok(Condition::Is(value.clone())),
        }
    }

    fn object(&mut self, object: &Map<String, Value>, place: &Place<'_>) -> Result<Condition, Invalid> {
        let (mut all, mut operators, mut members) = (Vec::new(), Vec::new(), Vec::new());
        let bare = self.names == Names::Bare && place.depth > 0 && object.keys().any(|name| known(name).is_some());
        for (name, value) in object {
            let inner = place.join(name);
            let inner = Place { path: &inner, depth: place.depth + 1 };
            match name.strip_prefix('$') {
                Some(operator) => self.operator(operator, value, &inner, &mut all, &mut operators)?,
                None if bare => self.operator(name, value, &inner, &mut all, &mut operators)?,
                None => members.push((name.clone(), self.condition(value, &inner)?)),
            }
        }
        if object.is_empty() && place.depth > 0 {
            operators.push(Operator::Exists(true));
        }
        if !members.is_empty() {
            all.push(Condition::Members(members));
        }
        if !operators.is_empty() {
            all.push(Condition::Operators(operators));
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Condition::All(all) })
    }

    /// Reads one operator to where it belongs.
    fn operator(
        &mut self,
        name: &str,
        value: &Value,
        place: &Place<'_>,
        all: &mut Vec<Condition>,
        operators: &mut Vec<Operator>,
    ) -> Result<(), Invalid> {
        let Some(name) = known(name) else {
            return Err(place.wrong(format_args!("is no operator; allowed: {}", OPERATORS.join(", "))));
        };
        match name {
            "or" => all.push(Condition::Any(self.list(value, place)?)),
            "and" => all.push(Condition::All(self.list(value, place)?)),
            "not" => all.push(Condition::Not(Box::new(self.condition(value, place)?))),
            "ref" => all.push(Condition::Same(reference(value, place)?)),
            _ => operators.push(self.comparison(name, value, place)?),
        }
        Ok(())
    }

    fn list(&mut self, value: &Value, place: &Place<'_>) -> Result<Vec<Condition>, Invalid> {
        let list = value.as_array().ok_or_else(|| place.wrong("must be a list of conditions"))?;
        let one = |(index, value)| {
            let path = format!("{}[{index}]", place.path);
            self.condition(value, &Place { path: &path, depth: place.depth + 1 })
        };
        list.iter().enumerate().map(one).collect()
    }

    fn comparison(&mut self, name: &str, value: &Value, place: &Place<'_>) -> Result<Operator, Invalid> {
        self.count(1, place)?;
        let is_ordered = |value: &Value| value.is_number() || value.is_string();
        let is_text = |value: &Value| {
            value.is_string()
                || value.as_array().is_some_and(|list| !list.is_empty() && list.iter().all(Value::is_string))
        };
        let ordered = || operand(value, place, is_ordered, "a number or a text");
        let text = || operand(value, place, is_text, "a text or a list of texts");
        let any = || operand(value, place, |_| true, "");
        Ok(match name {
            "eq" => Operator::Equal(any()?),
            "neq" => Operator::NotEqual(any()?),
            "gt" => Operator::Greater(ordered()?),
            "gte" => Operator::AtLeast(ordered()?),
            "lt" => Operator::Less(ordered()?),
            "lte" => Operator::AtMost(ordered()?),
            "in" => Operator::In(any()?),
            "nin" => Operator::NotIn(any()?),
            "contains" => Operator::Contains(any()?),
            "startsWith" => Operator::StartsWith(text()?),
            "endsWith" => Operator::EndsWith(text()?),
            "exist" => Operator::Exists(value.as_bool().ok_or_else(|| place.wrong("must be true or false"))?),
            _ => self.pattern(value, place)?,
        })
    }

    fn pattern(&mut self, value: &Value, place: &Place<'_>) -> Result<Operator, Invalid> {
        self.count(PATTERN_NODES, place)?;
        let text = value.as_str().ok_or_else(|| place.wrong("must be a text with a regular expression"))?;
        let pattern = RegexBuilder::new(text).size_limit(PATTERN_BYTES_MAX).dfa_size_limit(PATTERN_BYTES_MAX).build();
        // The error draws the pattern over several lines; its last one says what is wrong.
        let told = |error: regex::Error| error.to_string().lines().last().unwrap_or_default().to_owned();
        pattern.map(Operator::Like).map_err(|error| place.wrong(format_args!("is no pattern: {}", told(error))))
    }

    fn count(&mut self, nodes: usize, place: &Place<'_>) -> Result<(), Invalid> {
        if place.depth > DEPTH_MAX {
            return Err(place.wrong(format_args!("lies deeper than {DEPTH_MAX} levels")));
        }
        self.nodes = self.nodes.checked_sub(nodes).ok_or_else(|| {
            place.wrong(format_args!(
                "is too much: a filter has at most {NODES_MAX} conditions, a pattern counting {PATTERN_NODES}"
            ))
        })?;
        Ok(())
    }
}

/// The operator that a name without its dollar stands for.
fn known(name: &str) -> Option<&'static str> {
    let alias = ALIASES.iter().find(|(alias, _)| *alias == name).map(|(_, name)| *name);
    alias.or_else(|| OPERATORS.iter().copied().find(|operator| *operator == name))
}

fn operand(value: &Value, place: &Place<'_>, fits: impl Fn(&Value) -> bool, wanted: &str) -> Result<Operand, Invalid> {
    if let Some(path) = value.as_object().filter(|object| object.len() == 1).and_then(|object| object.get("$ref")) {
        return reference(path, place).map(Operand::Reference);
    }
    if fits(value) { Ok(Operand::Value(value.clone())) } else { Err(place.wrong(format_args!("must be {wanted}"))) }
}

fn reference(value: &Value, place: &Place<'_>) -> Result<Reference, Invalid> {
    let path = value.as_str().and_then(Reference::parse);
    path.ok_or_else(|| place.wrong("must be a path such as `customer.id` or `lines[$index].sku`"))
}
