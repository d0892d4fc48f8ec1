//! `$avp $xavp $xavu $xavi`: values attached to the message and, once there is one, to its transaction.
//!
//! Shared between the route that made the transaction and the routes its replies run, on any worker: one short lock per access,
//! never held over a script.

use std::sync::Mutex;

use crate::Value;

/// A stored value of an AVP or XAVP field.
#[derive(Debug, Clone, PartialEq)]
pub enum VarValue {
    /// Explicit null.
    Null,
    /// Integer.
    Int(i64),
    /// Text.
    Str(Box<[u8]>),
    /// XAVP: nested fields, newest first as Kamailio keeps them.
    Xavp(Vec<(Box<[u8]>, VarValue)>),
}

impl VarValue {
    /// Stores a value.
    pub fn from_value(v: &Value<'_>) -> VarValue {
        match v {
            Value::Int(i) => VarValue::Int(*i),
            Value::Bool(b) => VarValue::Int(i64::from(*b)),
            Value::Str(s) => VarValue::Str(s.as_ref().into()),
            _ => VarValue::Null,
        }
    }
    /// Reads it back.
    pub fn to_value(&self) -> Value<'static> {
        match self {
            VarValue::Null | VarValue::Xavp(_) => Value::Null,
            VarValue::Int(i) => Value::Int(*i),
            VarValue::Str(s) => Value::owned(s.to_vec()),
        }
    }
}

/// The lists. Names are few per call, so each list is a vector, newest first.
#[derive(Debug, Default, Clone)]
pub struct Lists {
    /// `$avp(name)`.
    pub avps: Vec<(Box<[u8]>, VarValue)>,
    /// `$xavp(name)`, `$xavp(name=>field)`.
    pub xavps: Vec<(Box<[u8]>, VarValue)>,
    /// `$xavu(name)`: one value per name.
    pub xavus: Vec<(Box<[u8]>, VarValue)>,
    /// `$xavi(name)`: names without case.
    pub xavis: Vec<(Box<[u8]>, VarValue)>,
}

/// The lists behind their lock.
#[derive(Debug, Default)]
pub struct Vars {
    lists: Mutex<Lists>,
}

impl Vars {
    /// Looks at or changes the lists. `f` must not run scripts or take other locks.
    pub fn with<R>(&self, f: impl FnOnce(&mut Lists) -> R) -> R {
        f(&mut self.lists.lock().unwrap_or_else(|e| e.into_inner()))
    }
}
