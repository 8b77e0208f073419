//! A number painted into a picture: a row of black and white blocks along the lower edge, coarse enough to survive a
//! video encoder. It tells which frame this is whatever has become of its timestamp on the way.

/// Edge of a block, in pixels: an encoder's macroblock.
const BLOCK: usize = 16;

/// Blocks of a stamp: the number, then its complement, by which a picture without one is recognised.
const BITS: usize = 32;

/// Width in pixels that a picture must have.
pub const MIN_WIDTH: usize = BITS * BLOCK;

const BLACK: u8 = 16;
const WHITE: u8 = 235;
const COLOURLESS: u8 = 128;

/// A picture's dimensions in pixels.
#[derive(Clone, Copy)]
pub struct Size {
    /// A multiple of 16, and [`MIN_WIDTH`] at least.
    pub width: usize,
    /// An even number.
    pub height: usize,
}

/// Paints `number` into a picture of the format I420.
pub fn paint(picture: &mut [u8], size: Size, number: u16) {
    let word = u32::from(number) << 16 | u32::from(!number);
    let Some((brightness, colour)) = picture.split_at_mut_checked(size.width * size.height) else {
        return;
    };
    for row in brightness.chunks_exact_mut(size.width).rev().take(BLOCK) {
        for (bit, block) in row.chunks_mut(BLOCK).take(BITS).enumerate() {
            block.fill(if word << bit >> 31 == 1 { WHITE } else { BLACK });
        }
    }
    // Two planes with half the width and half the height.
    for plane in colour.chunks_exact_mut(size.width / 2 * (size.height / 2)) {
        for row in plane.chunks_exact_mut(size.width / 2).rev().take(BLOCK / 2) {
            row.fill(COLOURLESS);
        }
    }
}

/// The number in a picture of the format RGB, if there is one.
pub fn read(picture: &[u8], size: Size) -> Option<u16> {
    let row = picture.chunks_exact(size.width * 3).rev().nth(BLOCK / 2)?;
    let mut word = 0_u32;
    for block in row.chunks(BLOCK * 3).take(BITS) {
        let red = block.get(BLOCK / 2 * 3)?;
        word = word << 1 | u32::from(*red > u8::MAX / 2);
    }
    let number = u16::try_from(word >> 16).ok()?;
    (word == u32::from(number) << 16 | u32::from(!number)).then_some(number)
}
