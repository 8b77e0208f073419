//! AMF3: known bytes both ways, and what is not AMF3.

use super::*;
use crate::amf::tests::hex;
use crate::amf::{MAX_DEPTH, MAX_VALUES, decode_all, encode_avmplus};

fn decode(bytes: &Bytes) -> Result<Value, Malformed> {
    let mut decoder = Decoder::new(bytes);
    let value = decoder.next_value()?.ok_or(Malformed::Truncated("nothing"))?;
    assert_eq!(decoder.next_value(), Ok(None), "{bytes:02x?}");
    Ok(value)
}

fn encoded(value: &Value) -> Bytes {
    let mut out = BytesMut::new();
    encode(value, &mut out);
    out.freeze()
}

fn array<const N: usize>(items: [Value; N]) -> Value {
    Value::StrictArray(items.into())
}

fn numbers<const N: usize>(numbers: [f64; N]) -> Value {
    array(numbers.map(Value::Number))
}

fn object<const N: usize>(properties: [(&str, Value); N]) -> Value {
    Value::object(properties)
}

fn point(x: f64, y: f64) -> Value {
    let properties = [("x", Value::Number(x)), ("y", Value::Number(y))]
        .into_iter()
        .collect();
    Value::Object(Object {
        class: Some("P".into()),
        properties,
    })
}

fn vector(fixed: bool, items: VectorItems) -> Value {
    Value::Vector(Vector { fixed, items })
}

/// Values that are written exactly as they are read.
fn canonical() -> Vec<(Bytes, Value)> {
    let number = Value::Number;
    [
        ("00", Value::Undefined),
        ("01", Value::Null),
        ("02", Value::Boolean(false)),
        ("03", Value::Boolean(true)),
        ("04 00", number(0.0)),
        ("04 ffffffff", number(-1.0)),
        ("04 7f", number(127.0)),
        ("04 8100", number(128.0)),
        ("04 bfffffff", number(268_435_455.0)),
        ("04 c0808000", number(-268_435_456.0)),
        ("05 41b0000000000000", number(268_435_456.0)),
        ("05 c1b0000001000000", number(-268_435_457.0)),
        ("05 4004000000000000", number(2.5)),
        ("05 7ff0000000000000", number(f64::INFINITY)),
        ("06 01", "".into()),
        ("06 05 6f6b", "ok".into()),
        ("07 09 3c612f3e", Value::Xml("<a/>".into())),
        ("08 01 0000000000000000", Value::Date(0.0)),
        ("09 01 01", array([])),
        (
            "09 07 01 04 01 04 ffffffff 05 4004000000000000",
            numbers([1.0, -1.0, 2.5]),
        ),
        ("09 01 03 61 03 01", Value::ecma_array([("a", Value::from(true))])),
        ("0a 0b 01 01", object([])),
        (
            "0a 0b 01 03 61 0a 0b 01 03 62 01 01 01",
            object([("a", object([("b", Value::Null)]))]),
        ),
        ("0a 23 03 50 03 78 03 79 04 01 04 02", point(1.0, 2.0)),
        ("0a 13 01 01 04 01", object([("", number(1.0))])),
        ("0c 07 010203", Value::ByteArray(Bytes::from_static(&[1, 2, 3]))),
        (
            "0d 05 00 00000001 ffffffff",
            vector(false, VectorItems::Int(vec![1, -1])),
        ),
        (
            "0e 05 01 00000001 ffffffff",
            vector(true, VectorItems::Uint(vec![1, u32::MAX])),
        ),
        (
            "0f 03 00 3ff0000000000000",
            vector(false, VectorItems::Number(vec![1.0])),
        ),
        (
            "10 05 00 03 2a 04 01 06 03 61",
            vector(
                false,
                VectorItems::Object {
                    class: "*".into(),
                    items: vec![number(1.0), "a".into()],
                },
            ),
        ),
        (
            "11 05 01 04 01 03 06 03 61 01",
            Value::Dictionary(Dictionary {
                weak_keys: true,
                entries: vec![(number(1.0), true.into()), ("a".into(), Value::Null)],
            }),
        ),
    ]
    .map(|(bytes, value)| (hex(bytes), value))
    .into()
}

/// Values that are read but would be written in another way.
fn tolerated() -> Vec<(Bytes, Value)> {
    let ok = || Value::from("ok");
    let a = || object([("a", Value::from(true))]);
    [
        ("04 8005", Value::Number(5.0)),
        ("04 80808005", Value::Number(5.0)),
        ("0b 09 3c612f3e", Value::Xml("<a/>".into())),
        (
            "0a0b01 09636f6465 06056f6b 0b6c6576656c 0602
             036e 0907010401 04ffffffff 054004000000000000 01",
            object([("code", ok()), ("level", ok()), ("n", numbers([1.0, -1.0, 2.5]))]),
        ),
        (
            "09 05 01 0a 0b 01 05 6964 04 01 01 0a 01 00 04 02 01",
            array([object([("id", 1.0.into())]), object([("id", 2.0.into())])]),
        ),
        (
            "09 05 01 0a 23 03 50 03 78 03 79 04 01 04 02 0a 01 04 03 04 04",
            array([point(1.0, 2.0), point(3.0, 4.0)]),
        ),
        ("09 05 01 0a 0b 01 03 61 03 01 0a 02", array([a(), a()])),
        // An associative and a dense part.
        (
            "09 03 03 61 02 01 04 07",
            Value::ecma_array([("a", Value::from(false)), ("0", 7.0.into())]),
        ),
        // A sealed and a dynamic member, in an object and in another one of the same traits.
        (
            "09 05 01 0a 1b 03 50 03 78 04 01 03 79 04 02 01 0a 01 04 03 04 04 04 01",
            array([point(1.0, 2.0), point(3.0, 4.0)]),
        ),
    ]
    .into_iter()
    .map(|(bytes, value)| (hex(bytes), value))
    .collect()
}

#[test]
fn vectors_decode() {
    for (bytes, value) in canonical().into_iter().chain(tolerated()) {
        assert_eq!(decode(&bytes), Ok(value), "{bytes:02x?}");
    }
}

#[test]
fn vectors_encode() {
    for (bytes, value) in canonical() {
        assert_eq!(encoded(&value), bytes, "{value:?}");
    }
}

#[test]
fn a_cut_anywhere_is_truncated_with_and_without_the_avmplus_marker() {
    for (bytes, _) in canonical().into_iter().chain(tolerated()) {
        for end in 1..bytes.len() {
            let cut = bytes.slice(..end);
            assert!(matches!(decode(&cut), Err(Malformed::Truncated(_))), "{cut:02x?}");
            let avmplus = Bytes::from([&[0x11], &cut[..]].concat());
            assert!(
                matches!(decode_all(&avmplus), Err(Malformed::Truncated(_))),
                "{avmplus:02x?}"
            );
        }
    }
}

#[test]
fn numbers_that_are_no_integers_of_29_bits_stay_doubles() {
    for number in [-0.0, 0.5, 1e300, f64::NAN, f64::NEG_INFINITY, 2_147_483_647.0] {
        let bytes = encoded(&Value::Number(number));
        assert_eq!(bytes[0], marker::DOUBLE, "{number}");
        let read = decode(&bytes).unwrap().as_number().unwrap();
        assert_eq!(read.to_bits(), number.to_bits());
    }
}

#[test]
fn empty_names_and_empty_arrays_take_another_shape() {
    let properties = || [("", Value::Null), ("a", 1.0.into())];
    let object = decode(&encoded(&Value::ecma_array(properties())));
    assert_eq!(object, Ok(Value::object(properties())));
    assert_eq!(
        decode(&encoded(&Value::EcmaArray(Properties::default()))),
        Ok(array([]))
    );
}

#[test]
fn every_literal_but_the_empty_one_and_xml_takes_a_slot_of_the_string_table() {
    // Class P, sealed a, dynamic b, value v; XML and byte array do not count, nor does "".
    let bytes = hex(
        "09 13 01 0a 1b 03 50 03 61 06 03 76 03 62 06 01 01 07 03 78 0c 03 79
                     06 00 06 02 06 04 06 06 06 03 7a 06 08",
    );
    let Ok(Value::StrictArray(items)) = decode(&bytes) else {
        panic!("{:?}", decode(&bytes))
    };
    let strings: Vec<_> = items[3..].iter().map(|item| item.as_str().unwrap()).collect();
    assert_eq!(strings, ["P", "a", "v", "b", "z", "z"]);
}

#[test]
fn every_complex_value_takes_a_slot_of_the_object_table() {
    let date = Value::Date(0.0);
    let kinds = [
        ("08 01 0000000000000000", date),
        ("07 03 78", Value::Xml("x".into())),
        ("0b 03 79", Value::Xml("y".into())),
        ("0c 03 7a", Value::ByteArray(Bytes::from_static(b"z"))),
        ("09 03 01 01", array([Value::Null])),
        ("0d 03 00 00000001", vector(false, VectorItems::Int(vec![1]))),
        (
            "10 01 00 01",
            vector(
                false,
                VectorItems::Object {
                    class: "".into(),
                    items: vec![],
                },
            ),
        ),
        ("11 01 00", Value::Dictionary(Dictionary::default())),
        ("0a 0b 01 01", object([])),
    ];
    let literals: String = kinds.iter().map(|(bytes, _)| *bytes).collect();
    let references: String = kinds
        .iter()
        .zip(1..)
        .map(|((bytes, _), index)| format!("{}{:02x}", &bytes[..2], index * 2))
        .collect();
    let values: Vec<_> = kinds.into_iter().map(|(_, value)| value).collect();
    let bytes = hex(&format!("09 25 01 {literals} {references}"));
    assert_eq!(
        decode(&bytes),
        Ok(Value::StrictArray([values.clone(), values].concat()))
    );
}

#[test]
fn tables_last_for_the_message() {
    let strings = hex("11 06 03 61 05 11 06 00");
    assert_eq!(
        decode_all(&strings),
        Ok(vec!["a".into(), Value::Null, "a".into()])
    );
    let objects = hex("11 0a 0b 01 03 61 03 01 11 0a 00 11 0a 01 00 02 01");
    let a = |value: bool| object([("a", value.into())]);
    assert_eq!(decode_all(&objects), Ok(vec![a(true), a(true), a(false)]));
}

#[test]
fn references_to_nothing_are_errors() {
    for (bytes, field, value) in [
        ("06 02", "AMF3 string reference", 1),
        ("0a 02", "AMF3 object reference", 1),
        ("09 00", "AMF3 object reference", 0),
        ("0a 01", "AMF3 traits reference", 0),
        ("0a 0d", "AMF3 traits reference", 3),
    ] {
        let expected = Malformed::Invalid { field, value };
        assert_eq!(decode(&hex(bytes)), Err(expected), "{bytes}");
        assert_eq!(decode_all(&hex(&format!("11 {bytes}"))), Err(expected), "{bytes}");
    }
}

#[test]
fn a_reference_to_an_open_value_is_undefined() {
    assert_eq!(decode(&hex("09 03 01 09 00")), Ok(array([Value::Undefined])));
    assert_eq!(
        decode(&hex("0a 0b 01 03 61 0a 00 01")),
        Ok(object([("a", Value::Undefined)]))
    );
    let expected = Dictionary {
        weak_keys: false,
        entries: vec![(Value::Undefined, Value::Null)],
    };
    assert_eq!(decode(&hex("11 03 00 11 00 01")), Ok(Value::Dictionary(expected)));
}

#[test]
fn flex_wrappers_read_as_what_they_wrap() {
    let collection = "43 666c65782e6d6573736167696e672e696f2e4172726179436f6c6c656374696f6e";
    let proxy = "3b 666c65782e6d6573736167696e672e696f2e4f626a65637450726f7879";
    assert_eq!(
        decode(&hex(&format!("0a 07 {collection} 09 03 01 04 07"))),
        Ok(numbers([7.0]))
    );
    assert_eq!(
        decode(&hex(&format!("0a 07 {proxy} 0a 0b 01 03 61 01 01"))),
        Ok(object([("a", Value::Null)]))
    );
    // Again by its traits, then both wrappers (objects 1 and 3) and both arrays (2 and 4) by reference.
    let bytes = hex(&format!(
        "09 0d 01 0a 07 {collection} 09 03 01 04 07 0a 01 09 03 01 04 08
                              0a 02 09 04 0a 06 09 08"
    ));
    let (seven, eight) = (|| numbers([7.0]), || numbers([8.0]));
    assert_eq!(
        decode(&bytes),
        Ok(array([seven(), eight(), seven(), seven(), eight(), eight()]))
    );
}

#[test]
fn an_unknown_externalizable_class_ends_the_reading() {
    let expected = Malformed::Invalid {
        field: "AMF3 traits of an unknown externalizable class",
        value: 7,
    };
    let bytes = hex("0a 07 03 58 01");
    let mut decoder = Decoder::new(&bytes);
    assert_eq!(decoder.next_value(), Err(expected));
    assert_eq!(decoder.next_value(), Err(expected));
}

#[test]
fn unknown_markers_are_refused() {
    for marker in 0x12..=0xFF {
        let expected = Malformed::Invalid {
            field: "AMF3 marker",
            value: marker.into(),
        };
        assert_eq!(decode(&Bytes::from(vec![marker, 1, 1, 1])), Err(expected));
    }
}

#[test]
fn claimed_counts_are_not_believed() {
    for (bytes, field) in [
        ("09 ffffffff 01", "AMF3 array"),
        ("0d ffffffff 00", "AMF3 vector"),
        ("0e 05 00 00000001 000000", "AMF3 vector"),
        ("0f 03 00 00000000 000000", "AMF3 vector"),
        ("10 ffffffff 00 01", "AMF3 vector"),
        ("11 ffffffff 00", "AMF3 dictionary"),
        ("11 05 00 010101", "AMF3 dictionary"),
        ("0a fffffff3 01", "AMF3 traits"),
        ("0c ffffffff", "AMF3 byte array"),
        ("07 ffffffff", "AMF3 XML"),
        ("06 ffffffff", "AMF3 string"),
    ] {
        assert_eq!(decode(&hex(bytes)), Err(Malformed::Truncated(field)), "{bytes}");
    }
}

#[test]
fn counts_beyond_the_limit_of_values_are_refused_before_anything_is_read() {
    // What follows is no value, which who started to read would have said first.
    let expected = Err(Malformed::Excessive("AMF values in one message"));
    let with_count = |marker: u8, count: usize, flags: u32, width: u32, rest: &[u8]| {
        let mut out = BytesMut::from(&[marker][..]);
        u29::put_flagged(count, flags, width, &mut out);
        out.put_slice(rest);
        out.resize(out.len() + count * 8, 0xFF);
        decode(&out.freeze())
    };
    for (marker, rest) in [
        (marker::ARRAY, &[1][..]),
        (marker::VECTOR_INT, &[0]),
        (marker::VECTOR_UINT, &[0]),
        (marker::VECTOR_DOUBLE, &[0]),
        (marker::VECTOR_OBJECT, &[0, 1]),
        (marker::DICTIONARY, &[0]),
    ] {
        assert_eq!(
            with_count(marker, MAX_VALUES, 1, 1, rest),
            expected,
            "{marker:#x}"
        );
    }
    let sealed = traits::INSTANCE | traits::INLINE;
    let names = [1; 1 + MAX_VALUES];
    assert_eq!(
        with_count(marker::OBJECT, MAX_VALUES, sealed, 4, &names),
        expected
    );
    let most = encoded(&vector(false, VectorItems::Int(vec![1; MAX_VALUES - 1])));
    assert!(decode(&most).is_ok());
}

#[test]
fn containers_nest_sixteen_deep_and_no_deeper() {
    let expected = Err(Malformed::Excessive("nested AMF values"));
    let collection = "0a07 43 666c65782e6d6573736167696e672e696f2e4172726179436f6c6c656374696f6e";
    for (open, close) in [
        ("09 03 01", ""),
        ("0a 0b 01 03 61", "01"),
        ("0a 13 01 03 61", ""),
        ("10 03 00 01", ""),
        ("11 03 00 01", ""),
        (collection, ""),
    ] {
        let nested = |n: usize| hex(&format!("{} 01 {}", open.repeat(n), close.repeat(n)));
        assert!(decode(&nested(MAX_DEPTH)).is_ok(), "{open}");
        assert_eq!(decode(&nested(MAX_DEPTH + 1)), expected, "{open}");
        assert_eq!(decode(&nested(100_000)), expected, "{open}");
    }
    // The containers of AMF0 around the value count too.
    let inside = |n: usize| {
        let rest = MAX_DEPTH - n;
        hex(&format!(
            "{} 11 {} 01",
            "0a 00000001".repeat(n),
            "09 03 01".repeat(rest)
        ))
    };
    assert!(decode_all(&inside(6)).is_ok());
    let deeper = hex(&format!("0a 00000001 11 {} 01", "09 03 01".repeat(MAX_DEPTH)));
    assert_eq!(decode_all(&deeper), expected.map(|_| vec![]));
}

#[test]
fn references_cannot_multiply_beyond_the_limits() {
    let values = Err(Malformed::Excessive("AMF values in one message"));
    // Each array holds the one before it ten times over.
    let laughs = |arrays: usize| {
        let first = format!("09 15 01 {}", "01".repeat(10));
        let others: String = (1..arrays)
            .map(|n| format!("09 15 01 {}", format!("09 {:02x}", n * 2).repeat(10)))
            .collect();
        hex(&format!("09 {:02x} 01 {first} {others}", arrays << 1 | 1))
    };
    assert!(decode(&laughs(3)).is_ok());
    assert_eq!(decode(&laughs(4)), values);
    assert_eq!(decode(&laughs(15)), values);
    // The elements of a vector count one by one.
    let vectors = format!("0d 8f51 00 {}", "00000000".repeat(1000));
    assert!(decode(&hex(&format!("09 07 01 {vectors} 0d 02 0d 02"))).is_ok());
    assert_eq!(
        decode(&hex(&format!("09 0b 01 {vectors} {}", "0d 02".repeat(4)))),
        values
    );
}

#[test]
fn references_cannot_repeat_text_beyond_the_limit() {
    let expected = Err(Malformed::Excessive("repeated AMF text"));
    let long = format!("8f51 {}", "61".repeat(1000));
    for (first, again) in [
        (format!("06 {long}"), "06 00"),
        (format!("07 {long}"), "07 02"),
        (format!("0c {long}"), "0c 02"),
        (format!("0a 03 {long}"), "0a 01"),
        (format!("0a 13 01 {long} 01"), "0a 01 01"),
        (format!("0a 0b 01 {long} 01 01"), "0a 02"),
    ] {
        let repeated = |times: usize| {
            let mut head = BytesMut::new();
            u29::put_literal(times + 1, &mut head);
            let mut bytes = hex(&format!("09 {head:02x} 01 {first}")).to_vec();
            bytes.extend(hex(again).repeat(times));
            decode(&bytes.into())
        };
        assert!(repeated(1000).is_ok(), "{again}");
        assert_eq!(repeated(1100), expected, "{again}");
    }
}

#[test]
fn text_and_byte_arrays_are_slices_of_the_message() {
    for bytes in [hex("06 05 6f6b"), hex("0c 05 6f6b"), hex("07 05 6f6b")] {
        let slice = match decode(&bytes) {
            Ok(Value::String(text) | Value::Xml(text)) => text.as_bytes().as_ptr(),
            Ok(Value::ByteArray(slice)) => slice.as_ptr(),
            other => panic!("{other:?}"),
        };
        assert_eq!(slice, bytes[2..].as_ptr());
    }
}

#[test]
fn avmplus_is_one_value_and_amf0_goes_on_behind_it() {
    let mut out = BytesMut::new();
    encode_avmplus(&object([("level", "status".into())]), &mut out);
    assert_eq!(out, hex("11 0a0b01 0b6c6576656c 06 0d737461747573 01"));
    assert_eq!(
        decode_all(&hex("11 01 05 11 02")),
        Ok(vec![Value::Null, Value::Null, false.into()])
    );
    assert_eq!(decode_all(&hex("11")), Err(Malformed::Truncated("AMF3 marker")));
}
