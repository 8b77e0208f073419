//! Wowza's SecureToken, version 1: the reply to connect has a property `secureToken`, which the client deciphers with a
//! shared key and sends back in the command `secureTokenResponse`. The cipher is corrected block TEA (XXTEA, Wheeler and
//! Needham 1998) with little-endian words; librtmp calls the key `token`.

/// Hexadecimal digits of a token that is answered. Wowza sends 32.
const MIN_DIGITS: usize = 2;
const MAX_DIGITS: usize = 1024;

/// The cipher's constant, from the golden ratio.
const DELTA: u32 = 0x9E37_79B9;

/// What to answer to the token `text`, given in hexadecimal digits; `None` for a text that is no token. Only the first
/// 16 bytes of `key` count.
#[must_use]
pub fn decipher(key: &str, text: &str) -> Option<Vec<u8>> {
    if !(MIN_DIGITS..=MAX_DIGITS).contains(&text.len()) || !text.len().is_multiple_of(2) {
        return None;
    }
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|digit| u8::try_from(digit.to_digit(16)?).ok())
        .collect();
    let bytes: Vec<u8> = digits?
        .chunks_exact(2)
        .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit))
        .collect();
    let mut words: Vec<u32> = bytes.chunks(4).map(word).collect();
    decipher_words(&mut words, key_words(key));
    let mut plain: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    plain.truncate(bytes.len());
    Some(plain)
}

/// Up to four bytes as a little-endian word, the missing ones zero.
fn word(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .rev()
        .fold(0, |word, byte| word << 8 | u32::from(*byte))
}

fn key_words(key: &str) -> [u32; 4] {
    let mut words = [0; 4];
    for (slot, bytes) in words.iter_mut().zip(key.as_bytes().chunks(4)) {
        *slot = word(bytes);
    }
    words
}

fn decipher_words(words: &mut [u32], key: [u32; 4]) {
    let (Some(&first), Ok(count)) = (words.first(), u32::try_from(words.len())) else {
        return;
    };
    let mut after = first;
    let mut sum = (6 + 52 / count).wrapping_mul(DELTA);
    while sum != 0 {
        let round = (sum >> 2) & 3;
        for place in (0..words.len()).rev() {
            let previous = place.checked_sub(1).unwrap_or(words.len() - 1);
            let before = words.get(previous).copied().unwrap_or_default();
            // Two bits and two bits: there is such a key word.
            let index = (place & 3) ^ usize::try_from(round).unwrap_or_default();
            let key_word = key.get(index).copied().unwrap_or_default();
            if let Some(word) = words.get_mut(place) {
                *word = word.wrapping_sub(mix(before, after, sum, key_word));
                after = *word;
            }
        }
        sum = sum.wrapping_sub(DELTA);
    }
}

const fn mix(before: u32, after: u32, sum: u32, key: u32) -> u32 {
    ((before >> 5) ^ (after << 2)).wrapping_add((after >> 3) ^ (before << 4))
        ^ (sum ^ after).wrapping_add(key ^ before)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: &str = "#ed%h0#w@1";

    #[test]
    fn golden_tokens() {
        // What rtmpdump 2.4 with -T sends.
        assert_eq!(
            decipher(KEY, "a1b2c3d4e5f60718293a4b5c6d7e8f90").unwrap(),
            [
                0x23, 0x16, 0x67, 0xa8, 0xaa, 0x78, 0x1b, 0xea, 0xc4, 0xfc, 0x61, 0x0f, 0xb7, 0xd4, 0x4a,
                0x0e
            ]
        );
        assert_eq!(
            decipher(KEY, "686BCF87d93c00c90050da63fb3f1cf5").unwrap(),
            b"HelloWowza123456"
        );
    }

    #[test]
    fn what_is_no_token_is_not_answered() {
        for text in ["", "a", "abc", "zz", "ab cd ef", "äöü", &"0".repeat(1026)] {
            assert_eq!(decipher(KEY, text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_token_is_answered_with_as_many_bytes(key in ".{0,40}", token in "([0-9a-fA-F]{2}){1,512}") {
            let plain = decipher(&key, &token).unwrap();
            prop_assert_eq!(plain.len(), token.len() / 2);
        }
    }
}
