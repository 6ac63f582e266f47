//! One reader for every layout of location records.
//!
//! | source | country | coordinates |
//! |---|---|---|
//! | MaxMind, DB-IP | `country.iso_code`, else `registered_country.iso_code` | `location.latitude`, `.longitude`, doubles |
//! | ip-location-db | `country_code` | `latitude`, `longitude`, **32-bit** floats; missing text is `""` |
//! | IPinfo | `country_code`, or `country` holding a code (or a name) | `lat`, `lng`, perhaps strings |
//! | geoacumen | `country.iso_code`, perhaps `"None"` | none |
//!
//! The reader of the `maxminddb` crate is strict: asking for an `f64` where a file has an `f32` is an error, and
//! so is a map where text stands. Hence [`Loose`], which takes whatever comes and never fails on a type.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::schedule::place::Location;

/// Beyond this, coordinates stand for a country and not for a city; MaxMind then says 200 km and more.
const CITY_RADIUS_KM: f64 = 100.0;

/// What a record says of the place, as far as `locate` needs it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Place {
    /// The record's own coordinates.
    pub(super) location: Option<Location>,
    /// Whether they stand for a city, or for something smaller.
    pub(super) city: bool,
    /// Upper case.
    pub(super) country: Option<[u8; 2]>,
}

/// What else a record tells, for people.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Extras {
    pub(super) continent: Option<Box<str>>,
    pub(super) region: Option<Box<str>>,
    pub(super) city: Option<Box<str>>,
    pub(super) time_zone: Option<Box<str>>,
    pub(super) accuracy_radius_km: Option<f64>,
    pub(super) asn: Option<u32>,
    pub(super) as_name: Option<Box<str>>,
    pub(super) isp: Option<Box<str>>,
}

// === impl Place ===

impl<'de> Deserialize<'de> for Place {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = RawPlace::deserialize(deserializer)?;
        let nested = raw.location.map.unwrap_or_default();
        let city_named = raw.city.map.is_some() || raw.city.text().is_some();
        let location = pair(&nested.latitude, &nested.longitude)
            .or_else(|| pair(&raw.latitude, &raw.longitude))
            .or_else(|| pair(&raw.lat, &raw.lng))
            .filter(|&(latitude, longitude)| (latitude, longitude) != (0.0, 0.0) || city_named)
            .and_then(|(latitude, longitude)| Location::new(latitude, longitude).ok());
        // An empty city is a statement, a missing one is not: a plain list of coordinates has none.
        let city_denied = raw.city.seen && !city_named;
        let wide = nested.accuracy_radius.number.is_some_and(|km| km > CITY_RADIUS_KM);
        let country =
            |field: &Loose<'de, Coded<'de>>| field.map.as_ref().and_then(|map| code(map.iso_code.text()));
        Ok(Self {
            location,
            city: location.is_some() && (city_named || !city_denied && !wide),
            country: country(&raw.country)
                .or_else(|| code(raw.country_code.text()))
                .or_else(|| code(raw.country.text()))
                .or_else(|| country(&raw.registered_country)),
        })
    }
}

/// Both coordinates or none, from the same place in the record.
fn pair(latitude: &Loose<'_>, longitude: &Loose<'_>) -> Option<(f64, f64)> {
    latitude.number().zip(longitude.number())
}

/// Two letters, made upper case. `ZZ` and `XX` are the codes for "unknown".
fn code(text: Option<&str>) -> Option<[u8; 2]> {
    let code: [u8; 2] = text?.as_bytes().try_into().ok()?;
    let code = code.map(|byte| byte.to_ascii_uppercase());
    (code.iter().all(u8::is_ascii_uppercase) && !matches!(&code, b"ZZ" | b"XX")).then_some(code)
}

// === impl Extras ===

impl<'de> Deserialize<'de> for Extras {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = RawExtras::deserialize(deserializer)?;
        let nested = raw.location.map.unwrap_or_default();
        let traits = raw.traits.map.unwrap_or_default();
        let continent = raw.continent.map.unwrap_or_default();
        Ok(Self {
            continent: first([&continent.code, &raw.continent_code]),
            region: first([&raw.region, &raw.state1]),
            city: raw.city.map.as_ref().and_then(Named::english).or_else(|| first([&raw.city])),
            time_zone: first([&nested.time_zone, &raw.timezone]),
            accuracy_radius_km: nested.accuracy_radius.number,
            asn: [&raw.autonomous_system_number, &raw.asn, &traits.autonomous_system_number]
                .into_iter()
                .find_map(Loose::as_number),
            as_name: first([
                &raw.autonomous_system_organization,
                &raw.as_name,
                &traits.autonomous_system_organization,
            ]),
            isp: first([&raw.isp, &traits.isp]),
        })
    }
}

/// The first that holds text which is not empty.
fn first<'a, 'de: 'a, M: 'a, const N: usize>(fields: [&'a Loose<'de, M>; N]) -> Option<Box<str>> {
    fields.into_iter().find_map(|field| field.text().map(Into::into))
}

// --- records as they are written ---------------------------------------------------------------------------

#[derive(Deserialize)]
struct RawPlace<'a> {
    #[serde(borrow, default)]
    location: Loose<'a, Coordinates<'a>>,
    #[serde(borrow, default)]
    latitude: Loose<'a>,
    #[serde(borrow, default)]
    longitude: Loose<'a>,
    #[serde(borrow, default)]
    lat: Loose<'a>,
    #[serde(borrow, default)]
    lng: Loose<'a>,
    #[serde(borrow, default)]
    country: Loose<'a, Coded<'a>>,
    #[serde(borrow, default)]
    country_code: Loose<'a>,
    #[serde(borrow, default)]
    registered_country: Loose<'a, Coded<'a>>,
    #[serde(borrow, default)]
    city: Loose<'a>,
}

#[derive(Deserialize)]
struct RawExtras<'a> {
    #[serde(borrow, default)]
    location: Loose<'a, Coordinates<'a>>,
    #[serde(borrow, default)]
    timezone: Loose<'a>,
    #[serde(borrow, default)]
    continent: Loose<'a, Continent<'a>>,
    #[serde(borrow, default)]
    continent_code: Loose<'a>,
    #[serde(borrow, default)]
    region: Loose<'a>,
    #[serde(borrow, default)]
    state1: Loose<'a>,
    #[serde(borrow, default)]
    city: Loose<'a, Named<'a>>,
    #[serde(borrow, default)]
    autonomous_system_number: Loose<'a>,
    #[serde(borrow, default)]
    autonomous_system_organization: Loose<'a>,
    #[serde(borrow, default)]
    asn: Loose<'a>,
    #[serde(borrow, default)]
    as_name: Loose<'a>,
    #[serde(borrow, default)]
    isp: Loose<'a>,
    #[serde(borrow, default)]
    traits: Loose<'a, Traits<'a>>,
}

#[derive(Default, Deserialize)]
struct Coordinates<'a> {
    #[serde(borrow, default)]
    latitude: Loose<'a>,
    #[serde(borrow, default)]
    longitude: Loose<'a>,
    #[serde(borrow, default)]
    accuracy_radius: Loose<'a>,
    #[serde(borrow, default)]
    time_zone: Loose<'a>,
}

#[derive(Default, Deserialize)]
struct Coded<'a> {
    #[serde(borrow, default)]
    iso_code: Loose<'a>,
}

#[derive(Default, Deserialize)]
struct Continent<'a> {
    #[serde(borrow, default)]
    code: Loose<'a>,
}

#[derive(Default, Deserialize)]
struct Named<'a> {
    #[serde(borrow, default)]
    names: Loose<'a, English<'a>>,
}

#[derive(Default, Deserialize)]
struct English<'a> {
    #[serde(borrow, default)]
    en: Loose<'a>,
}

#[derive(Default, Deserialize)]
struct Traits<'a> {
    #[serde(borrow, default)]
    autonomous_system_number: Loose<'a>,
    #[serde(borrow, default)]
    autonomous_system_organization: Loose<'a>,
    #[serde(borrow, default)]
    isp: Loose<'a>,
}

impl Named<'_> {
    fn english(&self) -> Option<Box<str>> {
        self.names.map.as_ref().and_then(|names| first([&names.en]))
    }
}

// --- values of any type --------------------------------------------------------------------------------------

/// A value of whatever type the file has: a number of any width, text, or a map read as `M`. Everything else
/// (lists, bytes, truth values) is passed over.
struct Loose<'de, M = Nothing> {
    number: Option<f64>,
    text: Option<&'de str>,
    map: Option<M>,
    /// Whether the record has this field at all.
    seen: bool,
}

/// A map whose fields are of no interest.
#[derive(Deserialize)]
struct Nothing {}

impl<M> Default for Loose<'_, M> {
    fn default() -> Self {
        Self { number: None, text: None, map: None, seen: false }
    }
}

impl<'de, M> Loose<'de, M> {
    fn seen() -> Self {
        Self { seen: true, ..Self::default() }
    }

    /// The text, unless it is empty.
    fn text(&self) -> Option<&'de str> {
        self.text.filter(|text| !text.is_empty())
    }

    /// The number, also when it is written as text.
    fn number(&self) -> Option<f64> {
        self.number.or_else(|| self.text?.trim().parse().ok()).filter(|number| number.is_finite())
    }

    /// An AS number, also when it is written as `AS64500`.
    fn as_number(&self) -> Option<u32> {
        if let Some(text) = self.text {
            let digits = text.get(2..).filter(|_| text.as_bytes()[..2].eq_ignore_ascii_case(b"AS"));
            return digits.unwrap_or(text).parse().ok();
        }
        let number = self.number.filter(|n| (1.0..=f64::from(u32::MAX)).contains(n))?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be in range")]
        Some(number as u32)
    }
}

impl<'de: 'a, 'a, M: Deserialize<'de>> Deserialize<'de> for Loose<'a, M> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LooseVisitor(PhantomData))
    }
}

struct LooseVisitor<M>(PhantomData<M>);

impl<'de, M: Deserialize<'de>> Visitor<'de> for LooseVisitor<M> {
    type Value = Loose<'de, M>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Loose { number: Some(value), ..Loose::seen() })
    }

    /// A 32-bit float has seven digits, so four decimals of a degree (11 m) are all it can promise; rounding
    /// there turns 39.90399932861328 back into the 39.904 that was meant.
    fn visit_f32<E: Error>(self, value: f32) -> Result<Self::Value, E> {
        self.visit_f64((f64::from(value) * 1e4).round() / 1e4)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        #[expect(clippy::cast_precision_loss, reason = "degrees, kilometres and AS numbers are below 2^53")]
        self.visit_f64(value as f64)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        #[expect(clippy::cast_precision_loss, reason = "degrees, kilometres and AS numbers are below 2^53")]
        self.visit_f64(value as f64)
    }

    fn visit_u128<E: Error>(self, _: u128) -> Result<Self::Value, E> {
        Ok(Loose::seen())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Loose::seen())
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Loose { text: Some(value), ..Loose::seen() })
    }

    /// Text that does not live as long as the record; databases never give it.
    fn visit_str<E: Error>(self, _: &str) -> Result<Self::Value, E> {
        Ok(Loose::seen())
    }

    fn visit_bytes<E: Error>(self, _: &[u8]) -> Result<Self::Value, E> {
        Ok(Loose::seen())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        Ok(Loose { map: Some(M::deserialize(MapAccessDeserializer::new(map))?), ..Loose::seen() })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Loose::seen())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The layouts as JSON: the same serde calls, save for 32-bit floats, which the fixtures cover.
    fn place(json: &'static str) -> Place {
        serde_json::from_str(json).unwrap()
    }

    #[track_caller]
    fn check(json: &'static str, location: Option<(f64, f64)>, city: bool, country: Option<&[u8; 2]>) {
        let location = location.map(|(latitude, longitude)| Location::new(latitude, longitude).unwrap());
        assert_eq!(place(json), Place { location, city, country: country.copied() }, "{json}");
    }

    #[test]
    fn every_layout_gives_place_and_country() {
        let at = Some((31.2, 121.5));
        check(
            r#"{"country": {"iso_code": "CN"}, "location": {"latitude": 31.2, "longitude": 121.5, "accuracy_radius": 50},
               "city": {"names": {"en": "Shanghai"}}}"#,
            at,
            true,
            Some(b"CN"),
        );
        check(
            r#"{"country_code": "CN", "latitude": 31.2, "longitude": 121.5, "city": "Shanghai"}"#,
            at,
            true,
            Some(b"CN"),
        );
        check(r#"{"country": "cn", "lat": "31.2", "lng": " 121.5"}"#, at, true, Some(b"CN"));
        check(r#"{"country": "China", "country_code": "CN", "asn": "AS174"}"#, None, false, Some(b"CN"));
        check(r#"{"registered_country": {"iso_code": "CN"}}"#, None, false, Some(b"CN"));
    }

    #[test]
    fn coordinates_without_a_city_are_no_better_than_a_country() {
        let at = Some((37.8, -97.8));
        check(
            r#"{"location": {"latitude": 37.8, "longitude": -97.8, "accuracy_radius": 1000}}"#,
            at,
            false,
            None,
        );
        check(r#"{"latitude": 37.8, "longitude": -97.8, "city": ""}"#, at, false, None);
        check(r#"{"latitude": 37.8, "longitude": -97.8}"#, at, true, None);
        check(
            r#"{"location": {"latitude": 37.8, "longitude": -97.8, "accuracy_radius": 20}}"#,
            at,
            true,
            None,
        );
    }

    #[test]
    fn zero_zero_counts_only_where_a_city_stands_there() {
        check(
            r#"{"latitude": 0, "longitude": 0, "city": "", "country_code": "US"}"#,
            None,
            false,
            Some(b"US"),
        );
        check(r#"{"latitude": 0, "longitude": 0, "city": "Null Island"}"#, Some((0.0, 0.0)), true, None);
    }

    #[test]
    fn words_for_an_unknown_country_are_no_country() {
        for json in [
            r#"{"country": {"iso_code": "None"}}"#,
            r#"{"country_code": ""}"#,
            r#"{"country_code": "ZZ"}"#,
            r#"{"country": "A1"}"#,
            r#"{"country": true, "country_code": 5}"#,
        ] {
            check(json, None, false, None);
        }
        check(
            r#"{"country": {"iso_code": "None"}, "registered_country": {"iso_code": "FR"}}"#,
            None,
            false,
            Some(b"FR"),
        );
    }

    #[test]
    fn half_or_impossible_coordinates_are_none() {
        for json in [
            r#"{"latitude": 31.2}"#,
            r#"{"latitude": 31.2, "longitude": "east"}"#,
            r#"{"latitude": 91, "longitude": 0.5}"#,
            r#"{"location": {"latitude": 31.2}, "longitude": 121.5}"#,
            r#"{"location": [31.2, 121.5], "latitude": {"deg": 31}, "longitude": [1]}"#,
        ] {
            check(json, None, false, None);
        }
    }

    #[test]
    fn provider_is_read_from_every_layout() {
        let extras = |json: &'static str| serde_json::from_str::<Extras>(json).unwrap();
        for json in [
            r#"{"autonomous_system_number": 64500, "autonomous_system_organization": "Example"}"#,
            r#"{"asn": "AS64500", "as_name": "Example"}"#,
            r#"{"asn": "64500", "as_name": "Example"}"#,
            r#"{"traits": {"autonomous_system_number": 64500, "autonomous_system_organization": "Example"}}"#,
        ] {
            let extras = extras(json);
            assert_eq!((extras.asn, extras.as_name.as_deref()), (Some(64500), Some("Example")), "{json}");
        }
        for json in
            [r#"{"asn": ""}"#, r#"{"asn": "AS"}"#, r#"{"asn": -1}"#, r#"{"asn": "é"}"#, r#"{"asn": {}}"#]
        {
            assert_eq!(extras(json).asn, None, "{json}");
        }
    }
}
