//! What scripts and operators get; the numbers were taken from Kamailio 5.6.3 for the same calls.

use std::sync::Arc;

use script::testing::Bench;
use script::{Core, Module, ParamValue, RouteContext, Value};
use serde_json::{Value as Json, json};
use store::Database;
use transaction::Timestamp;

use super::Htable;

const REQUEST: &str = "OPTIONS sip:a@b SIP/2.0\nCSeq: 1 OPTIONS\n";

fn module(params: &[(&str, ParamValue)]) -> Htable {
    let mut module = Htable::default();
    for (name, value) in params {
        module.set_param(name, value.clone()).expect("a parameter");
    }
    module
}

fn tables() -> Bench {
    let definitions =
        ["a=>size=4;autoexpire=2;initval=7;updateexpire=0", "b=>size=4;autoexpire=0", "e=>autoexpire=3"];
    let params = definitions.map(|d| ("htable", ParamValue::Str(d.into())));
    Bench::new(vec![Arc::new(module(&params)), Arc::new(crate::pv::PvModule::default())])
}

fn later(bench: &mut Bench, seconds: u64) {
    bench.now.unix_micros += seconds * 1_000_000;
    bench.now.mono = Timestamp(bench.now.mono.0 + seconds * 1_000_000_000);
}

fn call(bench: &Bench, ctx: &mut RouteContext<'_>, name: &str, args: &[Value<'_>]) -> Value<'static> {
    bench.call(ctx, &format!("htable.{name}"), args)
}

macro_rules! calls {
    ($bench:ident $ctx:ident: $($name:ident($($arg:expr),*) => $want:expr;)*) => {
        $(assert_eq!(
            call(&$bench, &mut $ctx, stringify!($name), &[$(Value::from($arg)),*]),
            Value::from($want).into_owned(),
            "{}{:?}", stringify!($name), ($($arg,)*)
        );)*
    };
}

const NULL: () = ();

#[test]
fn items_are_written_read_and_counted() {
    let bench = tables();
    let mut ctx = bench.request(REQUEST);
    calls! { bench ctx:
        sht_get("a", "x") => 7;
        sht_get("b", "x") => NULL;
        sht_gete("b", "x") => "";
        sht_getw("b", "x") => "<null>";
        sht_get("nope", "x") => NULL;
        sht_is_null("a", "x") => -2;
        sht_is_null("b", "x") => 1;
        sht_is_null("nope", "x") => 2;
        sht_sets("b", "s", "str") => 1;
        sht_seti("b", "i", 5) => 1;
        sht_sets("nope", "s", "x") => -1;
        sht_seti("nope", "s", 1) => -1;
        sht_get("b", "s") => "str";
        sht_get("b", "i") => 5;
        sht_is_null("b", "i") => -1;
        sht_inc("b", "i") => 6;
        sht_inc("b", "s") => -255;
        sht_inc("b", "new") => -255;
        sht_inc("a", "new") => 8;
        sht_dec("b", "i") => 5;
        sht_dec("b", "new2") => -255;
        sht_dec("a", "new2") => 6;
        sht_inc("nope", "s") => -255;
        sht_get("b", "new") => NULL;
        sht_rm("b", "i") => 1;
        sht_rm("b", "i") => 1;
        sht_rm("nope", "i") => -1;
        sht_sets("b", "", "") => 1;
        sht_get("b", "") => "";
        sht_reset("b") => 0;
        sht_reset("nope") => -1;
        sht_get("b", "s") => NULL;
    }
}

#[test]
fn pseudo_variables_have_others_in_their_keys() {
    let bench = tables();
    let mut ctx = bench.request(REQUEST);
    assert!(bench.set_pv(&mut ctx, "$sht(b=>$si)", 1.into()));
    assert!(bench.set_pv(&mut ctx, "$sht(b=>$si::x)", "y".into()));
    assert_eq!(bench.pv(&ctx, "$sht(b=>127.0.0.1)"), Value::Int(1));
    assert_eq!(bench.pv(&ctx, "$sht(b=>127.0.0.1::x)"), Value::from("y"));
    assert_eq!(bench.call(&mut ctx, "pv.is_null", &["$sht(b=>$si)".into()]), Value::Bool(false));
    assert!(bench.set_pv(&mut ctx, "$sht(b=>$si)", Value::Null));
    assert_eq!(bench.call(&mut ctx, "pv.is_null", &["$sht(b=>$si)".into()]), Value::Bool(true));
    assert_eq!(bench.pv(&ctx, "$sht(a=>x)"), Value::Int(7));
    assert!(!bench.set_pv(&mut ctx, "$sht(nope=>x)", 1.into()) && bench.pv(&ctx, "$sht(b)").is_null());
    bench.set_pv(&mut ctx, "$sht(b=>i)", 5.into());
    assert_eq!(bench.pv(&ctx, "$shtinc(b=>i)"), Value::Int(6));
    assert_eq!(bench.pv(&ctx, "$shtdec(b=>i)"), Value::Int(5));
    assert_eq!(
        (bench.pv(&ctx, "$shtinc(b=>q)"), bench.pv(&ctx, "$shtinc(a=>q)")),
        (Value::Null, Value::Int(8))
    );
    assert_eq!(bench.pv(&ctx, "$shtex(a=>q)"), Value::Int(2));
    assert_eq!(bench.pv(&ctx, "$shtex(a=>nope)"), Value::Int(0));
    assert!(bench.set_pv(&mut ctx, "$shtex(a=>q)", 20.into()));
    assert_eq!(bench.pv(&ctx, "$shtex(a=>q)"), Value::Int(20));
    assert!(bench.set_pv(&mut ctx, "$shtex(b=>i)", 20.into()), "nothing ends here");
    assert_eq!(bench.pv(&ctx, "$shtex(b=>i)"), Value::Int(0));
}

#[test]
fn expressions_count_and_operators_find_and_remove() {
    let bench = tables();
    let mut ctx = bench.request(REQUEST);
    for (key, value) in [("abc", "x1"), ("abd", "y1"), ("xab", "z2"), ("ab", "w2")] {
        call(&bench, &mut ctx, "sht_sets", &["b".into(), key.into(), value.into()]);
    }
    for (key, n) in [("n9", 9), ("n99", 99)] {
        call(&bench, &mut ctx, "sht_seti", &["b".into(), key.into(), n.into()]);
    }
    for (pv, want) in [
        ("$shtcn(b=>ab)", 4),
        ("$shtcn(b=>~~ab)", 4),
        ("$shtcn(b=>==ab)", 1),
        ("$shtcn(b=>~%ab)", 2),
        ("$shtcn(b=>%~ab)", 3),
        ("$shtcn(b=>**)", 6),
        ("$shtcn(b=>^ab)", 3),
        ("$shtcn(b=>AB)", 4),
        ("$shtcn(b=>%%ab)", 0),
        ("$shtcv(b=>1)", 2),
        ("$shtcv(b=>9)", 0),
        ("$shtcv(b=>eq9)", 1),
        ("$shtcv(b=>ne9)", 0),
        ("$shtcv(b=>%~x)", 1),
        ("$shtcv(b=>~%1)", 2),
        ("$shtcv(b=>==x1)", 1),
        ("$shtcv(b=>**)", 6),
    ] {
        assert_eq!(bench.pv(&ctx, pv), Value::Int(want), "{pv}");
    }
    assert!(bench.pv(&ctx, "$shtcn(nope=>ab)").is_null() && bench.pv(&ctx, "$shtcn(b=>~~[)").is_null());
    calls! { bench ctx:
        sht_match_name("b", "eq", "ab") => 1;
        sht_match_name("b", "eq", "AB") => -1;
        sht_match_name("b", "re", "AB") => 1;
        sht_match_name("b", "sw", "xa") => 1;
        sht_match_name("b", "ne", "ab") => 1;
        sht_match_name("b", "bad", "ab") => -1;
        sht_match_name("nope", "eq", "ab") => -1;
        sht_match_str_value("b", "eq", "x1") => 1;
        sht_match_str_value("b", "eq", "9") => -1;
        sht_cn("b", "sw", "ab") => 3;
        sht_rm_name("b", "eq", "ab") => -1;
        sht_rm_name("b", "sw", "abc") => 1;
        sht_get("b", "abc") => NULL;
        sht_rm_name_re("b", "^XAB$") => 1;
        sht_get("b", "xab") => NULL;
        sht_rm_name_re("b", "(") => -1;
        sht_rm_value("b", "re", "9") => 1;
        sht_get("b", "n9") => 9;
        sht_rm_value("b", "sw", "y") => 1;
        sht_get("b", "abd") => NULL;
        sht_rm_value_re("b", "W2") => 1;
        sht_get("b", "ab") => NULL;
        sht_rm_value("nope", "sw", "1") => -1;
    }
}

#[test]
fn an_item_lives_as_long_as_its_table_says() {
    let mut bench = tables();
    {
        let mut ctx = bench.request(REQUEST);
        calls! { bench ctx:
            sht_seti("a", "u", 1) => 1;
            sht_seti("e", "u", 1) => 1;
            sht_setxi("e", "long", 5, 60) => 0;
            sht_setxs("e", "zero", "v", 0) => 1;
            sht_setxi("e", "below", 5, -5) => 0;
            sht_setxi("nope", "x", 5, 60) => -1;
            sht_setxs("b", "never", "v", 3) => 1;
            sht_setex("e", "missing", 9) => 1;
            sht_get("e", "missing") => NULL;
            sht_setex("nope", "x", 9) => -1;
        }
        let ends = ["a=>u", "e=>u", "e=>long", "e=>zero", "e=>below", "b=>never"];
        let left = ends.map(|e| bench.pv(&ctx, &format!("$shtex({e})")).to_int());
        assert_eq!(left, [Some(2), Some(3), Some(60), Some(3), Some(3), Some(0)]);
    }
    later(&mut bench, 2);
    {
        let mut ctx = bench.request(REQUEST);
        calls! { bench ctx: sht_seti("a", "u", 2) => 1; sht_seti("e", "u", 2) => 1; sht_inc("e", "long") => 6; }
        assert_eq!(bench.pv(&ctx, "$shtex(a=>u)"), Value::Int(0), "updateexpire=0");
        assert_eq!(bench.pv(&ctx, "$shtex(e=>u)"), Value::Int(3));
        assert_eq!(bench.pv(&ctx, "$shtex(e=>long)"), Value::Int(3), "written: it lives as the table says");
    }
    later(&mut bench, 2);
    let mut ctx = bench.request(REQUEST);
    calls! { bench ctx:
        sht_get("a", "u") => 7;
        sht_inc("a", "u") => 8;
        sht_get("e", "u") => 2;
        sht_get("e", "zero") => NULL;
        sht_get("b", "never") => "v";
    }
}

#[test]
fn iterators_see_every_item_and_hold_nothing() {
    let bench = tables();
    let mut ctx = bench.request(REQUEST);
    for n in 0..200 {
        call(&bench, &mut ctx, "sht_seti", &["b".into(), format!("k{n}").as_str().into(), n.into()]);
    }
    calls! { bench ctx:
        sht_iterator_start("i", "nope") => -1;
        sht_iterator_next("i") => -1;
        sht_iterator_start("i", "b") => 1;
    }
    let mut sum = 0;
    while call(&bench, &mut ctx, "sht_iterator_next", &["i".into()]) == Value::Int(1) {
        sum += bench.pv(&ctx, "$shtitval(i)").to_int().expect("a number");
        let key = bench.pv(&ctx, "$shtitkey(i)");
        call(&bench, &mut ctx, "sht_rm", &["b".into(), key]);
    }
    assert_eq!((sum, bench.pv(&ctx, "$shtcn(b=>**)")), (199 * 200 / 2, Value::Int(0)));
    assert!(bench.pv(&ctx, "$shtitkey(i)").is_null());
    calls! { bench ctx:
        sht_sets("b", "one", "x") => 1;
        sht_iterator_next("i") => 1;
        sht_iterator_sets("i", "new") => 1;
        sht_get("b", "one") => "new";
        sht_iterator_seti("i", 77) => 1;
        sht_iterator_setex("i", 50) => 1;
        sht_get("b", "one") => 77;
        sht_iterator_rm("i") => 1;
        sht_get("b", "one") => NULL;
        sht_iterator_end("i") => 1;
        sht_iterator_end("i") => -1;
        sht_iterator_rm("i") => -1;
        sht_iterator_start("1", "b") => 1;
        sht_iterator_start("2", "b") => 1;
        sht_iterator_start("3", "b") => 1;
        sht_iterator_start("4", "b") => 1;
        sht_iterator_start("4", "a") => 1;
        sht_iterator_start("5", "b") => -1;
    }
}

#[test]
fn a_lock_ends_with_its_route() {
    let bench = tables();
    let mut first = bench.request(REQUEST);
    calls! { bench first:
        sht_lock("b", "x") => 1;
        sht_lock("b", "x") => 1;
        sht_unlock("b", "x") => 1;
        sht_lock("nope", "x") => -1;
        sht_seti("b", "x", 1) => 1;
    }
    // Neither items nor other keys wait for it.
    let mut second = bench.request(REQUEST);
    calls! { bench second: sht_seti("b", "x", 2) => 1; sht_lock("b", "y") => 1; }
    drop(first);
    calls! { bench second: sht_lock("b", "x") => 1; sht_unlock("b", "x") => 1; sht_unlock("b", "x") => 1; }
}

fn rpc(core: &Core, now: transaction::Now, name: &str, params: &[Json]) -> Result<Json, (i64, String)> {
    let (module, command) = core.registry.rpc().find(|(_, c)| c.name == name).expect("a command");
    (command.call)(module.as_ref(), core, now, params).map_err(|e| (e.code, e.message))
}

#[test]
fn operators_see_what_kamailio_shows() {
    let bench = tables();
    let ask = |name: &str, params: &[Json]| rpc(&bench.core, bench.now, &format!("htable.{name}"), params);
    let refused = |code: i64, text: &str| Err((code, text.to_string()));
    assert_eq!(ask("sets", &[json!("b"), json!("s"), json!("str")]), Ok(json!("Ok. Key set to new value.")));
    assert_eq!(
        ask("get", &[json!("b"), json!("s")]),
        Ok(json!({"item": {"name": "s", "value": "str", "flags": 2, "expire": "NEVER"}}))
    );
    let dump = ask("dump", &[json!("b")]).expect("answers");
    assert_eq!(dump[0]["size"], 1);
    assert_eq!(dump[0]["slot"], json!([{"name": "s", "value": "str", "type": "str"}]));
    assert!(dump[0]["entry"].as_u64().is_some_and(|n| n < 16));
    assert_eq!(ask("seti", &[json!("a"), json!(12), json!("5")]), Ok(json!("Ok. Key set to new value.")));
    assert_eq!(ask("setex", &[json!("a"), json!(12), json!(30)]), Ok(json!("Ok")));
    let item = ask("get", &[json!("a"), json!(12)]).expect("answers");
    assert_eq!((&item["item"]["value"], &item["item"]["flags"]), (&json!(5), &json!(0)));
    assert_eq!(item["item"]["expire"].as_str().map(str::len), Some("2026-11-26 00:58:18".len()));
    let b = json!({"name": "b", "slots": 16, "all": 1, "min": 0, "max": 1});
    assert_eq!(ask("stats", &[]).expect("answers")[1], b);
    assert_eq!(
        ask("listTables", &[]).expect("answers")[2],
        json!({"name": "a", "dbtable": "", "dbmode": 0, "expire": 2, "updateexpire": 0, "size": 16, "dmqreplicate": 0})
    );
    assert_eq!(ask("delete", &[json!("b"), json!("s")]), Ok(json!("Ok. Key deleted.")));
    assert_eq!(ask("delete", &[json!("b"), json!("s")]), refused(404, "Key not found in htable."));
    assert_eq!(ask("get", &[json!("b"), json!("s")]), refused(500, "Key name doesn't exist in htable."));
    assert_eq!(ask("get", &[json!("b")]), refused(500, "Not enough parameters (htable name and key name)"));
    assert_eq!(ask("dump", &[]), refused(500, "No htable name given"));
    assert_eq!(ask("dump", &[json!("nope")]), refused(500, "No such htable"));
    assert_eq!(ask("flush", &[json!("a")]), Ok(json!("Ok. Htable flushed.")));
    assert_eq!(ask("reload", &[json!("b")]), refused(500, "No htable db_url"));
}

const COLUMNS: [&str; 5] = ["key_name", "key_type", "value_type", "key_value", "expires"];

fn database(url: &str) -> Arc<dyn Database> {
    let memory = store::Memory::new();
    memory.create("saved", &COLUMNS, &[]);
    memory.create("own", &["k", "v", "w"], &["k"]);
    let db: Arc<dyn Database> = Arc::new(memory);
    store::substitute(url, &db);
    db
}

fn with_database(url: &str, db_expires: i64) -> Bench {
    let definition = |d: &str| ("htable", ParamValue::Str(d.into()));
    let mut module = module(&[
        ("db_url", ParamValue::Str(url.into())),
        ("db_expires", ParamValue::Int(db_expires)),
        definition("l=>dbtable=saved;autoexpire=1000;dbmode=1"),
        definition("n=>dbtable=own;cols='k,v,w'"),
    ]);
    let config = script::CoreConfig::default();
    let setup = script::Setup { config: &config, listeners: &[], modules: &[], now: Bench::new(vec![]).now };
    module.setup(&setup).expect("sets up");
    Bench::new(vec![Arc::new(module)])
}

#[test]
fn loaded_at_the_start_and_written_back_at_the_end() {
    let url = "memory://htable-load";
    let db = database(url);
    let now = Bench::new(vec![]).now.unix() as i64;
    let row = |key: &str, kind, is_int, value: &str, expires| {
        let row = [
            store::Value::text(key),
            store::Value::Int(kind),
            store::Value::Int(is_int),
            store::Value::text(value),
            store::Value::Int(expires),
        ];
        db.insert("saved", &COLUMNS, &row).expect("inserts");
    };
    row("plain", 0, 0, "hello", 0);
    row("num", 0, 1, "42", 0);
    row("arr", 1, 0, "first", 0);
    row("arr", 1, 0, "second", 0);
    row("exp", 0, 0, "later", now + 5000);
    row("old", 0, 0, "gone", 1000);
    row("badnum", 0, 1, "4x", 0);
    let own = [store::Value::text("one"), store::Value::Int(1), store::Value::Int(2)];
    db.insert("own", &["k", "v", "w"], &own).expect("inserts");
    let bench = with_database(url, 1);
    let tick = || bench.core.registry.modules().iter().for_each(|m| m.tick(&bench.core, bench.now));
    tick();
    let mut ctx = bench.request(REQUEST);
    calls! { bench ctx:
        sht_get("l", "plain") => "hello";
        sht_get("l", "num") => 42;
        sht_get("l", "arr[0]") => "first";
        sht_get("l", "arr[1]") => "second";
        sht_get("l", "arr::size") => 2;
        sht_get("l", "old") => NULL;
        sht_get("l", "badnum") => 4;
        sht_get("n", "one") => "1,2";
        sht_seti("l", "written", 5) => 1;
        sht_rm("l", "plain") => 1;
    }
    assert_eq!(bench.pv(&ctx, "$shtex(l=>exp)"), Value::Int(5000));
    assert_eq!(bench.pv(&ctx, "$shtex(l=>num)"), Value::Int(1000));
    bench.core.registry.modules().iter().for_each(|m| m.stop(&bench.core, bench.now));
    drop(ctx);
    let again = with_database(url, 1);
    again.core.registry.modules().iter().for_each(|m| m.tick(&again.core, again.now));
    let mut ctx = again.request(REQUEST);
    calls! { again ctx:
        sht_get("l", "written") => 5;
        sht_get("l", "plain") => NULL;
        sht_get("l", "arr[1]") => "second";
        sht_get("l", "arr::size") => 2;
        sht_rm("l", "written") => 1;
    }
    assert_eq!(again.pv(&ctx, "$shtex(l=>exp)"), Value::Int(5000));
    let reload = |name: &str| rpc(&again.core, again.now, "htable.reload", &[json!(name)]);
    assert_eq!(reload("l"), Ok(json!("Ok. Htable reloaded.")));
    calls! { again ctx: sht_get("l", "written") => 5; }
    let stored = rpc(&again.core, again.now, "htable.store", &[json!("n")]);
    assert!(stored.is_err(), "a table with columns of its own is not written");
}

#[test]
fn a_database_that_is_down_at_the_start_is_asked_again() {
    let url = "memory://htable-late";
    let memory = store::Memory::new();
    let memory = Arc::new(memory);
    let db: Arc<dyn Database> = memory.clone();
    store::substitute(url, &db);
    let mut bench = with_database(url, 0);
    let tick =
        |bench: &Bench| bench.core.registry.modules().iter().for_each(|m| m.tick(&bench.core, bench.now));
    tick(&bench);
    let mut ctx = bench.request(REQUEST);
    calls! { bench ctx: sht_seti("l", "k", 1) => 1; }
    drop(ctx);
    memory.create("saved", &COLUMNS, &[]);
    bench.core.registry.modules().iter().for_each(|m| m.stop(&bench.core, bench.now));
    let all = store::Query { table: "saved", columns: &["key_name"], ..store::Query::default() };
    assert_eq!(db.query(&all), Ok(vec![]), "what was never read is not overwritten");
    let row = [store::Value::text("k2"), store::Value::Int(0), store::Value::Int(0), store::Value::text("v")];
    db.insert("saved", COLUMNS.get(..4).expect("four"), &row).expect("inserts");
    later(&mut bench, 2);
    tick(&bench);
    let mut ctx = bench.request(REQUEST);
    calls! { bench ctx: sht_get("l", "k2") => "v"; }
}
