//! Open bitstream units of AV1 in the low-overhead format, AV1 specification sections 5.3 to 5.5: as much of them
//! as senders need who are not given a configuration record.

use bytes::Bytes;

use super::bits::Bits;
use super::{Av1Config, ChromaFormat};
use crate::wire::{Malformed, Reader};

const SEQUENCE_HEADER: u8 = 1;
const TEMPORAL_DELIMITER: u8 = 2;

/// Bits of an OBU's first byte.
const HAS_EXTENSION: u8 = 0x04;
const HAS_SIZE: u8 = 0x02;

/// Most bytes of a number in `leb128()`.
const MAX_LEB128: u32 = 8;

/// One OBU.
struct Obu<'a> {
    kind: u8,
    /// All of it.
    whole: &'a [u8],
    /// What follows header and size.
    payload: &'a [u8],
}

impl<'a> Obu<'a> {
    fn decode(r: &mut Reader<'a>) -> Result<Self, Malformed> {
        let start = r.rest();
        let header = r.u8("OBU header")?;
        if header & 0x80 != 0 {
            return Err(Malformed::Invalid {
                field: "obu_forbidden_bit",
                value: 1,
            });
        }
        if header & HAS_EXTENSION != 0 {
            r.u8("OBU extension header")?;
        }
        let size = if header & HAS_SIZE == 0 {
            r.remaining()
        } else {
            leb128(r)?
        };
        let payload = r.take(size, "OBU")?;
        let length = start.len() - r.remaining();
        Ok(Self {
            kind: header >> 3 & 0x0f,
            whole: start.get(..length).unwrap_or_default(),
            payload,
        })
    }
}

fn leb128(r: &mut Reader<'_>) -> Result<usize, Malformed> {
    let mut value = 0u64;
    for at in 0..MAX_LEB128 {
        let byte = r.u8("obu_size")?;
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return usize::try_from(value).map_err(|_| Malformed::Excessive("obu_size"));
        }
    }
    Err(Malformed::Excessive("obu_size"))
}

/// A temporal unit without the delimiters at its front, which tags leave out as files do. What cannot be read is left
/// as it is.
#[must_use]
pub fn strip_temporal_delimiters(unit: &Bytes) -> Bytes {
    let mut r = Reader::new(unit);
    loop {
        let rest = r.rest();
        match Obu::decode(&mut r) {
            Ok(Obu {
                kind: TEMPORAL_DELIMITER,
                ..
            }) => {}
            Ok(_) | Err(_) => return unit.slice_ref(rest),
        }
    }
}

impl Av1Config {
    /// Makes the record of a temporal unit that has a sequence header, as those of key frames do.
    ///
    /// # Errors
    ///
    /// There is no sequence header, or it cannot be read.
    pub fn of_temporal_unit(unit: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(unit);
        while !r.is_empty() {
            let obu = Obu::decode(&mut r)?;
            if obu.kind == SEQUENCE_HEADER {
                let mut config = sequence_header(&mut Bits::new(obu.payload))?;
                // A copy, of a dozen bytes.
                config.obus = Bytes::copy_from_slice(obu.whole);
                return Ok(config);
            }
        }
        Err(Malformed::Truncated("sequence header OBU"))
    }
}

/// `sequence_header_obu()`, AV1 section 5.5.1, up to the position of chroma samples.
fn sequence_header(bits: &mut Bits<'_>) -> Result<Av1Config, Malformed> {
    let field = "sequence_header_obu";
    let profile = bits.byte(3, field)?;
    bits.take(1, "still_picture")?;
    let is_reduced = bits.flag("reduced_still_picture_header")?;
    let (level, is_high_tier, delay) = if is_reduced {
        (bits.byte(5, "seq_level_idx")?, false, None)
    } else {
        operating_points(bits)?
    };
    let width_bits = bits.byte(4, field)? + 1;
    let height_bits = bits.byte(4, field)? + 1;
    bits.take(width_bits, "max_frame_width_minus_1")?;
    bits.take(height_bits, "max_frame_height_minus_1")?;
    if !is_reduced && bits.flag("frame_id_numbers_present_flag")? {
        bits.take(4 + 3, field)?;
    }
    // use_128x128_superblock, enable_filter_intra, enable_intra_edge_filter.
    bits.take(3, field)?;
    if !is_reduced {
        tools(bits)?;
    }
    // enable_superres, enable_cdef, enable_restoration.
    bits.take(3, field)?;
    let mut config = color_config(bits, profile)?;
    config.level = level;
    config.is_high_tier = is_high_tier;
    config.initial_presentation_delay = delay;
    Ok(config)
}

/// Timing and operating points. Gives level, tier and presentation delay of the first point.
fn operating_points(bits: &mut Bits<'_>) -> Result<(u8, bool, Option<u8>), Malformed> {
    let field = "operating_points";
    let mut delay_bits = None;
    if bits.flag("timing_info_present_flag")? {
        bits.take(32, "num_units_in_display_tick")?;
        bits.take(32, "time_scale")?;
        if bits.flag("equal_picture_interval")? {
            uvlc(bits)?;
        }
        if bits.flag("decoder_model_info_present_flag")? {
            delay_bits = Some(bits.byte(5, "buffer_delay_length_minus_1")? + 1);
            bits.take(32, "num_units_in_decoding_tick")?;
            bits.take(5 + 5, field)?;
        }
    }
    let has_display_delay = bits.flag("initial_display_delay_present_flag")?;
    let count = bits.byte(5, "operating_points_cnt_minus_1")? + 1;
    let mut first = None;
    for _ in 0..count {
        bits.take(12, "operating_point_idc")?;
        let level = bits.byte(5, "seq_level_idx")?;
        let is_high_tier = level > 7 && bits.flag("seq_tier")?;
        if let Some(delay_bits) = delay_bits
            && bits.flag("decoder_model_present_for_this_op")?
        {
            bits.take(delay_bits, "decoder_buffer_delay")?;
            bits.take(delay_bits, "encoder_buffer_delay")?;
            bits.take(1, "low_delay_mode_flag")?;
        }
        let mut delay = None;
        if has_display_delay && bits.flag("initial_display_delay_present_for_this_op")? {
            delay = Some(bits.byte(4, "initial_display_delay_minus_1")? + 1);
        }
        first.get_or_insert((level, is_high_tier, delay));
    }
    first.ok_or(Malformed::Truncated(field))
}

/// `uvlc()`, AV1 section 4.10.3, which nobody needs the value of.
fn uvlc(bits: &mut Bits<'_>) -> Result<(), Malformed> {
    let field = "num_ticks_per_picture_minus_1";
    let mut zeros = 0;
    while !bits.flag(field)? {
        zeros += 1;
        if zeros == 32 {
            return Ok(());
        }
    }
    bits.take(zeros, field).map(drop)
}

/// The coding tools that only a sequence of several pictures chooses.
fn tools(bits: &mut Bits<'_>) -> Result<(), Malformed> {
    let field = "coding tools";
    // enable_interintra_compound, enable_masked_compound, enable_warped_motion, enable_dual_filter.
    bits.take(4, field)?;
    let has_order_hint = bits.flag("enable_order_hint")?;
    if has_order_hint {
        // enable_jnt_comp, enable_ref_frame_mvs.
        bits.take(2, field)?;
    }
    let chooses_per_frame = bits.flag("seq_choose_screen_content_tools")?;
    if (chooses_per_frame || bits.flag("seq_force_screen_content_tools")?)
        && !bits.flag("seq_choose_integer_mv")?
    {
        bits.take(1, "seq_force_integer_mv")?;
    }
    if has_order_hint {
        bits.take(3, "order_hint_bits_minus_1")?;
    }
    Ok(())
}

/// `color_config()`, AV1 section 5.5.2.
fn color_config(bits: &mut Bits<'_>, profile: u8) -> Result<Av1Config, Malformed> {
    /// BT.709 primaries, sRGB transfer and identity matrix: RGB.
    const RGB: [u32; 3] = [1, 13, 0];
    let is_high = bits.flag("high_bitdepth")?;
    let bit_depth = match is_high {
        true if profile == 2 && bits.flag("twelve_bit")? => 12,
        true => 10,
        false => 8,
    };
    let is_monochrome = profile != 1 && bits.flag("mono_chrome")?;
    let mut description = None;
    if bits.flag("color_description_present_flag")? {
        let field = "color description";
        description = Some([bits.take(8, field)?, bits.take(8, field)?, bits.take(8, field)?]);
    }
    let mut chroma_position = 0;
    let chroma_format = if is_monochrome {
        ChromaFormat::Monochrome
    } else if description == Some(RGB) {
        ChromaFormat::Yuv444
    } else {
        bits.take(1, "color_range")?;
        let (x, y) = match (profile, bit_depth) {
            (0, _) => (true, true),
            (1, _) => (false, false),
            (_, 12) => {
                let x = bits.flag("subsampling_x")?;
                (x, x && bits.flag("subsampling_y")?)
            }
            (..) => (true, false),
        };
        match (x, y) {
            (true, true) => {
                chroma_position = bits.byte(2, "chroma_sample_position")?;
                ChromaFormat::Yuv420
            }
            (true, false) => ChromaFormat::Yuv422,
            (false, _) => ChromaFormat::Yuv444,
        }
    };
    Ok(Av1Config {
        profile,
        level: 0,
        is_high_tier: false,
        bit_depth,
        chroma_format,
        chroma_position,
        initial_presentation_delay: None,
        obus: Bytes::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A temporal unit of FFmpeg's libaom, 64x64: delimiter, sequence header, the start of a frame.
    const UNIT: &[u8] = b"\x12\x00\x0a\x0a\x00\x00\x00\x02\xaf\xff\x80\x5f\x00\x08\x32\x02\x10\x00";

    #[test]
    fn the_record_of_a_key_frame_is_the_one_that_ffmpeg_makes() {
        let config = Av1Config::of_temporal_unit(UNIT).unwrap();
        assert_eq!(
            config.encode()[..],
            b"\x81\x00\x0c\x00\x0a\x0a\x00\x00\x00\x02\xaf\xff\x80\x5f\x00\x08"[..]
        );
    }

    #[test]
    fn delimiters_go_and_all_else_stays() {
        let unit = Bytes::from_static(UNIT);
        let stripped = strip_temporal_delimiters(&unit);
        assert_eq!(stripped, UNIT[2..]);
        assert_eq!(strip_temporal_delimiters(&stripped), stripped);
        assert_eq!(
            strip_temporal_delimiters(&Bytes::from_static(b"\x12\x00")),
            b""[..]
        );
        let nonsense = Bytes::from_static(b"\xff\xff");
        assert_eq!(strip_temporal_delimiters(&nonsense), nonsense);
        // Without a size it goes on to the end.
        assert_eq!(strip_temporal_delimiters(&Bytes::from_static(b"\x10")), b""[..]);
    }

    #[test]
    fn units_without_a_sequence_header_have_no_record() {
        assert_eq!(
            Av1Config::of_temporal_unit(&UNIT[14..]),
            Err(Malformed::Truncated("sequence header OBU"))
        );
        assert_eq!(
            Av1Config::of_temporal_unit(b"\x80\x00"),
            Err(Malformed::Invalid {
                field: "obu_forbidden_bit",
                value: 1
            })
        );
        assert_eq!(
            Av1Config::of_temporal_unit(b"\x0a\x80\x80\x80\x80\x80\x80\x80\x80\x01"),
            Err(Malformed::Excessive("obu_size"))
        );
        for end in 3..14 {
            assert!(Av1Config::of_temporal_unit(&UNIT[..end]).is_err());
        }
    }
}
