//! Time zones: how far from Greenwich a place is at a moment, by the IANA database.

use std::cell::RefCell;

use boa_engine::object::builtins::JsArray;
use boa_engine::{Context, JsArgs as _, JsResult, JsString, JsValue};
use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};

use crate::builtins::{Native, fault};
use crate::jobs::jobs;

/// What `natives` offers of this file.
pub(crate) const FUNCTIONS: [(&str, Native, usize); 3] =
    [("zoneName", zone_name, 1), ("zoneOffset", zone_offset, 2), ("zones", zones, 0)];

/// The zone that was asked for last, by the name that was given: most charms know one.
#[derive(Default)]
struct Last(RefCell<Option<(String, TimeZone)>>);

fn zone(name: &str, context: &Context) -> JsResult<Option<TimeZone>> {
    let last = jobs(context)?.part::<Last>();
    if let Some((known, zone)) = &*last.0.borrow()
        && known == name
    {
        return Ok(Some(zone.clone()));
    }
    let Ok(zone) = TimeZoneDatabase::bundled().get(name) else { return Ok(None) };
    last.0.replace(Some((name.to_owned(), zone.clone())));
    Ok(Some(zone))
}

fn name(args: &[JsValue]) -> JsResult<String> {
    let name = args.get_or_undefined(0).as_string().ok_or_else(|| fault("expected a time zone"))?;
    Ok(name.to_std_string_lossy())
}

/// The name of a zone as the database writes it; undefined if there is none.
fn zone_name(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let zone = zone(&name(args)?, context)?;
    let name = zone.as_ref().and_then(TimeZone::iana_name);
    Ok(name.map_or_else(JsValue::undefined, |name| JsString::from(name).into()))
}

/// Seconds from Greenwich in a zone, at a moment in milliseconds since 1970.
fn zone_offset(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let name = name(args)?;
    let zone = zone(&name, context)?.ok_or_else(|| fault(format!("there is no time zone {name:?}")))?;
    let time = args.get_or_undefined(1).to_number(context)?;
    #[expect(clippy::cast_possible_truncation, reason = "times are whole milliseconds within 2^53")]
    let moment = Timestamp::from_millisecond(time as i64);
    // The rules of today go on for ever, and before the first one there was none.
    let moment = moment.unwrap_or(if time < 0.0 { Timestamp::MIN } else { Timestamp::MAX });
    Ok(zone.to_offset(moment).seconds().into())
}

fn zones(_: &JsValue, _: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let database = TimeZoneDatabase::bundled();
    let mut names: Vec<String> = database.available().map(|name| name.as_str().to_owned()).collect();
    names.sort_unstable();
    let names = names.iter().map(|name| JsString::from(name.as_str()).into());
    Ok(JsArray::from_iter(names, context).into())
}
