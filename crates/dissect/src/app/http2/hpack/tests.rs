use fluke_hpack::Encoder;
use proptest::prelude::*;

use super::*;

fn decode(decoder: &mut Decoder, hex: &str) -> Vec<String> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    let block: Vec<u8> = digits.chunks(2).map(byte).collect();
    let mut fields = Vec::new();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    decoder.decode(&block, |name, value| fields.push(format!("{}: {}", text(name), text(value)))).unwrap();
    fields
}

/// RFC 7541, appendix C.2.
#[test]
fn fields_of_each_kind() {
    let one = |hex: &str| decode(&mut Decoder::default(), hex);
    assert_eq!(
        one("400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572"),
        ["custom-key: custom-header"]
    );
    assert_eq!(one("040c 2f73 616d 706c 652f 7061 7468"), [":path: /sample/path"]);
    assert_eq!(one("1008 7061 7373 776f 7264 0673 6563 7265 74"), ["password: secret"]);
    assert_eq!(one("82"), [":method: GET"]);
}

/// RFC 7541, appendices C.3 and C.4: three requests on one connection, without and with Huffman codes.
#[test]
fn requests_that_refer_to_each_other() {
    let plain = [
        "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "8286 84be 5808 6e6f 2d63 6163 6865",
        "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
    ];
    let coded = [
        "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
        "8286 84be 5886 a8eb 1064 9cbf",
        "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
    ];
    for requests in [plain, coded] {
        let mut decoder = Decoder::default();
        let first = [":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com"];
        assert_eq!(decode(&mut decoder, requests[0]), first);
        assert_eq!(decode(&mut decoder, requests[1]), [&first[..], &["cache-control: no-cache"]].concat());
        let third =
            [":method: GET", ":scheme: https", ":path: /index.html", first[3], "custom-key: custom-value"];
        assert_eq!(decode(&mut decoder, requests[2]), third);
        assert_eq!((decoder.entries.len(), decoder.size), (3, 164));
    }
}

/// RFC 7541, appendix C.6: three responses with a table of 256 bytes, from which entries are evicted.
#[test]
fn a_small_table_evicts() {
    let mut decoder = Decoder { max_size: 256, ..Decoder::default() };
    let first =
        "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d
        29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3";
    assert_eq!(decode(&mut decoder, first)[0], ":status: 302");
    assert_eq!((decoder.entries.len(), decoder.size), (4, 222));
    assert_eq!(decode(&mut decoder, "4883 640e ffc1 c0bf")[0], ":status: 307");
    let third =
        "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2
        e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07";
    let fields = decode(&mut decoder, third);
    assert_eq!(fields[0], ":status: 200");
    assert_eq!(fields[5], "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1");
    assert_eq!((decoder.entries.len(), decoder.size), (3, 215));
}

/// RFC 7541, appendix C.1.
#[test]
fn integers() {
    assert_eq!(integer(&[0b0000_1010], 5), Some((10, &[][..])));
    assert_eq!(integer(&[0b0001_1111, 0b1001_1010, 0b0000_1010], 5), Some((1337, &[][..])));
    assert_eq!(integer(&[42], 8), Some((42, &[][..])));
    assert_eq!(integer(&[0xff, 0xff, 0xff, 0xff, 0xff, 0x01], 7), None);
    assert_eq!(integer(&[0xff], 7), None);
}

proptest! {
    #[test]
    fn what_an_encoder_writes_is_read(
        blocks in prop::collection::vec(
            prop::collection::vec((prop::collection::vec(any::<u8>(), 0..40), prop::collection::vec(any::<u8>(), 0..60)), 0..12),
            1..6,
        ),
    ) {
        let (mut encoder, mut decoder) = (Encoder::new(), Decoder::default());
        for fields in blocks {
            let block = encoder.encode(fields.iter().map(|(name, value)| (&name[..], &value[..])));
            let mut read = Vec::new();
            decoder.decode(&block, |name, value| read.push((name.to_vec(), value.to_vec()))).unwrap();
            prop_assert_eq!(read, fields);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(blocks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 1..4)) {
        let mut decoder = Decoder::default();
        for block in blocks {
            let _ = decoder.decode(&block, |_, _| {});
            prop_assert!(decoder.size <= decoder.max_size);
            prop_assert_eq!(decoder.size, decoder.entries.iter().map(size).sum::<usize>());
        }
    }
}

/// A name of 8,000 bytes, and entries that have the same name: each takes two bytes of the block.
#[test]
fn a_long_name_is_not_copied_for_ever() {
    let name = [&[0x3f, 0x81, 0x46, 0x40, 0x7f, 0xc1, 0x3d][..], &[b'x'; 8000], &[0]].concat();
    let again = |times| [&name[..], &[0x7e, 0].repeat(times)].concat();
    let entries = |times| {
        let mut decoder = Decoder::default();
        decoder.decode(&again(times), |_, _| {}).map(|()| decoder.entries.len())
    };
    assert_eq!((entries(0), entries(8)), (Some(1), Some(1)));
    assert_eq!(entries(9), None);
}
