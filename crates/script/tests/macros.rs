//! What `#[ksr_module]` and `#[derive(ModParams)]` make.

extern crate trunkline_script as script;

use script::{
    Format, ModParam, ModParams, Module, Outcome, ParamKind, ParamType, ParamValue, Pv, Returns,
    RouteContext, RouteKind, SetupError, Value, ksr_module,
};

#[derive(Default)]
struct Sample;

impl Module for Sample {
    fn name(&self) -> &'static str {
        "sample"
    }
}

#[ksr_module("sample", object = "smp")]
impl Sample {
    /// First line.
    ///
    /// Second paragraph.
    #[ksr(cfg = ["sample_one", "one"], routes(REQUEST, FAILURE))]
    fn one(
        &self,
        _ctx: &mut RouteContext<'_>,
        number: i64,
        text: &[u8],
        pv: &Pv,
        format: &Format,
    ) -> Outcome {
        let _ = (pv, format);
        Outcome(number + text.len() as i64)
    }
    /// Borrows.
    #[ksr]
    fn get<'c>(&'c self, ctx: &'c mut RouteContext<'_>, pv: &'c Pv) -> Value<'c> {
        pv.get(ctx)
    }
    /// Without context.
    #[ksr(name = "yield", blocking, no_message)]
    fn yield_now(&self, text: &[u8]) -> bool {
        !text.is_empty()
    }
    /// Nothing at all.
    #[ksr]
    fn nothing(&self) {}
    /// Text of the message.
    #[ksr]
    fn text<'c>(&'c self, ctx: &'c RouteContext<'_>) -> Option<&'c [u8]> {
        Some(ctx.message.as_bytes())
    }
    fn plain(&self) -> i64 {
        3
    }
}

#[test]
fn rows_say_what_the_methods_are() {
    let rows = Sample::FUNCTIONS;
    let names: Vec<_> = rows.iter().map(|f| f.path()).collect();
    assert_eq!(names, ["KSR.smp.one", "KSR.smp.get", "KSR.smp.yield", "KSR.smp.nothing", "KSR.smp.text"]);
    let one = &rows[0];
    assert_eq!(one.module, "sample");
    assert_eq!(one.cfg, ["sample_one", "one"]);
    assert_eq!(one.doc, "First line.\n\nSecond paragraph.");
    let kinds: Vec<_> = one.params.iter().map(|p| (p.name, p.kind)).collect();
    assert_eq!(
        kinds,
        [
            ("number", ParamKind::Int),
            ("text", ParamKind::Str),
            ("pv", ParamKind::Pv),
            ("format", ParamKind::Format)
        ]
    );
    assert!(one.routes.contains(RouteKind::Failure) && !one.routes.contains(RouteKind::Reply));
    let returns: Vec<_> = rows.iter().map(|f| f.returns).collect();
    assert_eq!(returns, [Returns::Int, Returns::Xval, Returns::Bool, Returns::None, Returns::Xval]);
    assert!(rows[2].blocking && !rows[2].needs_message && rows[1].needs_message);
    assert_eq!(Sample.plain(), 3);
}

/// Settings.
#[derive(Debug, Default, ModParams)]
struct Settings {
    /// A number.
    limit: i64,
    /// Small.
    #[modparam(name = "mode")]
    small: u8,
    /// On or off.
    enabled: bool,
    /// A text.
    url: String,
    /// Maybe a text.
    maybe: Option<String>,
    #[modparam(skip)]
    _private: Vec<u8>,
}

#[test]
fn settings_check_name_type_and_range() {
    let rows: Vec<_> = Settings::PARAMS.iter().map(|p: &ModParam| (p.name, p.kind)).collect();
    assert_eq!(
        rows,
        [
            ("limit", ParamType::Int),
            ("mode", ParamType::Int),
            ("enabled", ParamType::Int),
            ("url", ParamType::Str),
            ("maybe", ParamType::Str)
        ]
    );
    let mut s = Settings::default();
    assert_eq!(s.set("limit", ParamValue::Int(7)), Ok(()));
    assert_eq!(s.set("enabled", ParamValue::Int(2)), Ok(()));
    assert_eq!(s.set("maybe", ParamValue::Str("x".into())), Ok(()));
    assert_eq!((s.limit, s.enabled, s.maybe.as_deref()), (7, true, Some("x")));
    let wrong = s.set("url", ParamValue::Int(7));
    assert_eq!(wrong, Err(SetupError("parameter url takes a string, not the integer 7".into())));
    let range = s.set("mode", ParamValue::Int(700));
    assert_eq!(range, Err(SetupError("parameter mode: 700 is out of range".into())));
    assert!(s.set("nope", ParamValue::Int(1)).is_err());
    assert_eq!((s.small, s.url.as_str()), (0, ""));
}
