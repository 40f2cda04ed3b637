//! Where a USDT probe has an argument: the text that compilers leave in the notes of a file, such as `-4@%eax`, `8@16(%rsp)`
//! or `8@[sp, 8]`.

use std::mem::offset_of;

/// Where one argument is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Argument {
    /// Bytes it has: 1, 2, 4 or 8.
    bytes: u8,
    is_signed: bool,
    place: Place,
}

/// Registers are told by their offset in `struct pt_regs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Constant(i64),
    Register(u16),
    /// What is at the sum of these: two registers, the second shifted, and a number.
    Memory {
        base: u16,
        index: Option<(u16, u8)>,
        offset: i64,
    },
}

/// `struct pf_argument` of `pf_site.h`; zeros: there is none.
pub(crate) const BYTES: usize = 16;

impl Argument {
    /// The argument of this number, counted from 0. `None` where there is none, or none that can be read.
    pub(crate) fn of(arguments: &str, number: u8) -> Option<Self> {
        Self::parse(split(arguments).get(usize::from(number))?)
    }

    fn parse(text: &str) -> Option<Self> {
        let (size, place) = text.split_once('@')?;
        let size: i8 = size.trim().parse().ok()?;
        let bytes = size.unsigned_abs();
        if ![1, 2, 4, 8].contains(&bytes) {
            return None;
        }
        Some(Self {
            bytes,
            is_signed: size < 0,
            place: place_of(place.trim())?,
        })
    }

    /// As the probes read it.
    pub(crate) fn to_bytes(self) -> [u8; BYTES] {
        let (value, base, index, kind, scale) = match self.place {
            Place::Constant(value) => (value, 0, 0, 1_u8, 0),
            Place::Register(register) => (0, register, 0, 2, 0),
            Place::Memory {
                base,
                index: None,
                offset,
            } => (offset, base, 0, 3, 0),
            Place::Memory {
                base,
                index: Some((index, scale)),
                offset,
            } => (offset, base, index, 4, scale),
        };
        let mut bytes = [0; BYTES];
        bytes[..8].copy_from_slice(&value.to_ne_bytes());
        bytes[8..10].copy_from_slice(&base.to_ne_bytes());
        bytes[10..12].copy_from_slice(&index.to_ne_bytes());
        bytes[12..].copy_from_slice(&[kind, scale, 64 - 8 * self.bytes, u8::from(self.is_signed)]);
        bytes
    }
}

/// They are separated by spaces, which those of ARM also have within.
fn split(arguments: &str) -> Vec<&str> {
    let mut depth = 0_u32;
    let parts = arguments.split(|letter: char| {
        match letter {
            '[' | '(' => depth += 1,
            ']' | ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && letter.is_ascii_whitespace()
    });
    parts.filter(|part| !part.is_empty()).collect()
}

#[cfg(target_arch = "x86_64")]
fn place_of(text: &str) -> Option<Place> {
    if let Some(constant) = text.strip_prefix('$') {
        return constant.parse().ok().map(Place::Constant);
    }
    if text.starts_with('%') {
        return register(text).map(Place::Register);
    }
    let (offset, inside) = text.strip_suffix(')')?.split_once('(')?;
    let offset = if offset.is_empty() {
        0
    } else {
        offset.parse().ok()?
    };
    let mut parts = inside.split(',').map(str::trim);
    let base = register(parts.next()?)?;
    let index = match parts.next() {
        None => None,
        Some(index) => {
            let scale: u8 = parts.next().map_or(Ok(1), str::parse).ok()?;
            let is_one = [1, 2, 4, 8].contains(&scale);
            Some((register(index)?, is_one.then(|| scale.trailing_zeros() as u8)?))
        }
    };
    parts
        .next()
        .is_none()
        .then_some(Place::Memory { base, index, offset })
}

#[cfg(target_arch = "x86_64")]
fn register(text: &str) -> Option<u16> {
    type Registers = libc::user_regs_struct;
    let name = text.strip_prefix('%')?;
    let offset = match name {
        "rip" | "eip" => offset_of!(Registers, rip),
        "rax" | "eax" | "ax" | "al" => offset_of!(Registers, rax),
        "rbx" | "ebx" | "bx" | "bl" => offset_of!(Registers, rbx),
        "rcx" | "ecx" | "cx" | "cl" => offset_of!(Registers, rcx),
        "rdx" | "edx" | "dx" | "dl" => offset_of!(Registers, rdx),
        "rsi" | "esi" | "si" | "sil" => offset_of!(Registers, rsi),
        "rdi" | "edi" | "di" | "dil" => offset_of!(Registers, rdi),
        "rbp" | "ebp" | "bp" | "bpl" => offset_of!(Registers, rbp),
        "rsp" | "esp" | "sp" | "spl" => offset_of!(Registers, rsp),
        _ => {
            let number = name.strip_prefix('r')?.trim_end_matches(['d', 'w', 'b']);
            match number {
                "8" => offset_of!(Registers, r8),
                "9" => offset_of!(Registers, r9),
                "10" => offset_of!(Registers, r10),
                "11" => offset_of!(Registers, r11),
                "12" => offset_of!(Registers, r12),
                "13" => offset_of!(Registers, r13),
                "14" => offset_of!(Registers, r14),
                "15" => offset_of!(Registers, r15),
                _ => return None,
            }
        }
    };
    u16::try_from(offset).ok()
}

#[cfg(target_arch = "aarch64")]
fn place_of(text: &str) -> Option<Place> {
    if let Ok(constant) = text.parse() {
        return Some(Place::Constant(constant));
    }
    let Some(inside) = text.strip_prefix('[') else {
        return register(text).map(Place::Register);
    };
    let (base, offset) = match inside.strip_suffix(']')?.split_once(',') {
        Some((base, offset)) => (base, offset.trim().trim_start_matches('#').parse().ok()?),
        None => (inside.strip_suffix(']')?, 0),
    };
    Some(Place::Memory {
        base: register(base.trim())?,
        index: None,
        offset,
    })
}

#[cfg(target_arch = "aarch64")]
fn register(name: &str) -> Option<u16> {
    type Registers = libc::user_regs_struct;
    let offset = if name == "sp" {
        offset_of!(Registers, sp)
    } else {
        let number: usize = name.strip_prefix(['x', 'w'])?.parse().ok()?;
        (number < 31).then(|| offset_of!(Registers, regs) + 8 * number)?
    };
    u16::try_from(offset).ok()
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn memory(base: usize, index: Option<(usize, u8)>, offset: i64) -> Place {
        Place::Memory {
            base: base as u16,
            index: index.map(|(register, scale)| (register as u16, scale)),
            offset,
        }
    }

    #[test]
    fn what_compilers_write_is_understood() {
        type R = libc::user_regs_struct;
        let (rax, rbp, rsp) = (offset_of!(R, rax), offset_of!(R, rbp), offset_of!(R, rsp));
        for (text, bytes, is_signed, place) in [
            ("-4@%eax", 4, true, Place::Register(rax as u16)),
            ("8@%r15", 8, false, Place::Register(offset_of!(R, r15) as u16)),
            ("1@%r8b", 1, false, Place::Register(offset_of!(R, r8) as u16)),
            ("4@$71", 4, false, Place::Constant(71)),
            ("-8@$-9", 8, true, Place::Constant(-9)),
            ("-4@-1204(%rbp)", 4, true, memory(rbp, None, -1204)),
            ("8@(%rsp)", 8, false, memory(rsp, None, 0)),
            ("1@-96(%rbp,%rax,8)", 1, false, memory(rbp, Some((rax, 3)), -96)),
            ("2@(%rbp,%rax)", 2, false, memory(rbp, Some((rax, 0)), 0)),
        ] {
            let wanted = Argument {
                bytes,
                is_signed,
                place,
            };
            assert_eq!(Argument::parse(text), Some(wanted), "{text}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_no_argument() {
        for text in [
            "",
            "@",
            "4@",
            "@%eax",
            "3@%eax",
            "16@%xmm0",
            "8f@%xmm0",
            "4@eax",
            "4@%eex",
            "4@$x",
            "4@8(%rax",
            "4@()",
            "4@sym(%rip)",
            "4@(%rbp,%rax,3)",
            "4@(%rbp,%rax,8,1)",
            "999@%eax",
            "4@99999999999999999999(%rax)",
            "4@%r16",
        ] {
            assert_eq!(Argument::parse(text), None, "{text}");
        }
    }

    #[test]
    fn arguments_are_told_apart_by_spaces_outside_of_brackets() {
        assert_eq!(
            split("8@%rdi  -4@8(%rsp, %rax) 1@$2"),
            ["8@%rdi", "-4@8(%rsp, %rax)", "1@$2"]
        );
        assert_eq!(split("8@[sp, 8] 4@x0"), ["8@[sp, 8]", "4@x0"]);
        assert_eq!(Argument::of("8@%rdi 4@$7", 1).unwrap().place, Place::Constant(7));
        assert_eq!(Argument::of("8@%rdi", 1), None);
        assert_eq!(Argument::of("((((", 0), None);
    }
}
