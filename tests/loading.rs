//! Components that are expensive to check or compile.

use std::fmt::Write as _;

use bg_abuse::Attempt;
use bg_test_support::TestHost;

use crate::bombs::{MANIFEST, bomb, module, slow, wasm};
use crate::common::host;

/// Checks that this component ends with the expected error, and so does the service that loaded it.
fn ends(what: &str, bytes: &[u8], limits: &[&str], expected: &str) {
    let host = host();
    host.write("integration.toml", MANIFEST).unwrap();
    let file = host.write("bomb.wasm", bytes).unwrap();
    let mut arguments = vec!["run", "--polls", "1", "--component", file.to_str().unwrap()];
    for limit in limits {
        arguments.extend(["--limit", limit]);
    }
    refused(&host, what, &arguments, expected);
}

fn refused(host: &TestHost, what: &str, arguments: &[&str], expected: &str) {
    let attempt = Attempt::begin("compile", what);
    let stderr = host.command(arguments).unwrap().failure().unwrap().stderr;
    assert!(stderr.contains(expected), "{what}: {}", &stderr[..stderr.len().min(4000)]);
    assert!(stderr.len() < 20_000, "{what}: {} bytes of it", stderr.len());
    attempt.ended(expected);
}

#[test]
fn a_function_that_takes_minutes_to_compile_ends_at_the_limit_of_its_processor_time() {
    ends("one function with 60,000 ifs", &slow(), &["compile-cpu=3s"], "takes more than 3 s");
}

#[test]
fn a_component_that_is_slow_without_computing_ends_at_the_time_limit() {
    ends("one function with 60,000 ifs, by the clock", &slow(), &["compile-time=2s"], "takes more than 2 s");
}

#[test]
fn compiling_a_hundred_thousand_functions_ends_at_the_limit_of_its_memory() {
    let bytes = bomb(&module(&"(func (result i32) (i32.const 1))".repeat(100_000)));
    ends("100,000 tiny functions", &bytes, &["compile-memory=128MiB"], "takes more than 128 MiB of memory");
}

#[test]
fn machine_code_over_its_limit_is_refused() {
    let bytes = bomb(&module(&"(func (result i32) (i32.const 1))".repeat(2_000)));
    ends("machine code over its limit", &bytes, &["compiled-bytes=64KiB"], "of machine code");
}

#[test]
fn thirty_megabytes_of_data_are_compiled_and_refused_for_what_they_lack() {
    let data = format!("(memory 512) (data (i32.const 0) \"{}\")", "a".repeat(31 << 20));
    ends("31 MiB of data", &bomb(&module(&data)), &[], "wrong type");
}

#[test]
fn a_component_that_is_slow_to_check_ends_at_the_same_limits() {
    ends(
        "jumps to a million places with 1,000 values each",
        &wasm::jumps(1 << 20),
        &["compile-cpu=1s"],
        "takes more than 1 s",
    );
    ends(
        "jumps that fill the memory of who checks them",
        &wasm::jumps(1 << 20),
        &["compile-memory=128MiB"],
        "takes more than",
    );
    ends("a million nested components", &wasm::nested(1_000_000), &["compile-cpu=1s"], "takes more than 1 s");
}

#[test]
fn too_many_or_too_deeply_nested_parts_are_refused() {
    let mut imports = String::new();
    for number in 0..100_000 {
        write!(imports, "(import \"i{number}\" (func))").unwrap();
    }
    ends("100,000 imports", &bomb(&format!("{imports} {}", module(""))), &[], "more than 10000 imports and exports");

    let mut imports = String::new();
    for number in 0..9_000 {
        write!(imports, "(import \"i{number}\" (func))").unwrap();
    }
    ends("9,000 imports that nobody knows", &bomb(&format!("{imports} {}", module(""))), &[], "and 8950 more");

    let mut types = "(type $t0 (list u8))".to_owned();
    for number in 1..20_000 {
        write!(types, "(type $t{number} (list $t{}))", number - 1).unwrap();
    }
    ends("a list of lists, 20,000 deep", &bomb(&format!("{types} {}", module(""))), &[], "not a valid component");

    let mut types = "(type $t0 (tuple u8 u8))".to_owned();
    for number in 1..60 {
        write!(types, "(type $t{number} (tuple $t{0} $t{0}))", number - 1).unwrap();
    }
    ends("a type of 2⁶⁰ parts", &bomb(&format!("{types} {}", module(""))), &[], "not a valid component");

    ends("components nested 900 deep", &wasm::nested(900), &[], "missing export");

    let instances = "(core instance (instantiate $bomb))".repeat(50_000);
    ends("50,000 instances", &bomb(&format!("{} {instances}", module(""))), &[], "not a valid component");
}

#[test]
fn inspecting_has_the_same_limits() {
    let host = host();
    let inspect = |what: &str, bytes: &[u8], expected: &str| {
        let file = host.write("bomb.wasm", bytes).unwrap();
        refused(&host, what, &["inspect", file.to_str().unwrap()], expected);
    };
    let expected = "more than 10000 imports and exports";
    inspect("inspecting: 27 MB of names, 300 times", &wasm::names(300, 90_000, 300), expected);
    inspect("inspecting: 300,000 functions by 30 names", &wasm::names(10_000, 10, 30), expected);
}
