//! Inputs to start from: files in which everything is right, each kind of thing wrong once, and texts of every kind.

use super::{
    elf_file::{Part, described},
    names::Kind,
};

/// Where the code of the programs is, and their data.
pub const CODE: u64 = 0x1000;
pub const DATA: u64 = 0x3000;

/// One part of a description.
type Words = Vec<u8>;

fn number(value: u64) -> Words {
    [&[0xff], value.to_le_bytes().as_slice()].concat()
}

fn text(text: &[u8]) -> Words {
    [&[text.len() as u8], text].concat()
}

fn part(kind: Part, words: &[&[u8]]) -> Words {
    [&[kind as u8], words.concat().as_slice()].concat()
}

fn segment(flags: u8, address: u64, size: u64, offset: u64) -> Words {
    part(
        Part::Segment,
        &[&[flags], &number(address), &number(size), &number(offset)],
    )
}

/// Code, and then data, in a file whose first page is neither.
fn loaded() -> Words {
    [segment(5, CODE, 0x1000, 0x800), segment(6, DATA, 0x800, 0x1800)].concat()
}

fn note(address: u64, base: u64, semaphore: u64, words: &[u8]) -> Words {
    [
        vec![0],
        number(address),
        number(base),
        number(semaphore),
        text(words),
    ]
    .concat()
}

fn notes(notes: &[Words]) -> Words {
    part(Part::Notes, &[&[notes.len() as u8], &notes.concat()])
}

/// Kind 0x12 is a function for everybody.
fn symbol(name: &[u8], kind: u8, section: u8, address: u64) -> Words {
    [text(name), vec![kind, section], number(address)].concat()
}

fn symbols(kind: Part, symbols: &[Words]) -> Words {
    part(kind, &[&[symbols.len() as u8], &symbols.concat()])
}

fn section(name: u8, kind: u8, address: u64, content: &[u8]) -> Words {
    part(Part::Section, &[&[name, kind], &number(address), &text(content)])
}

fn claim(field: u8, value: u64) -> Words {
    part(Part::Claim, &[&[field], &number(value)])
}

/// Three notes, the last of another base than the program has now.
fn probes() -> Words {
    notes(&[
        note(CODE + 0x10, 0, 0, b"pf\0query_begin\0-4@%eax 8@16(%rsp)\0"),
        note(CODE + 0x20, 0, DATA, b"pf\0query_end\08@$7 1@-96(%rbp,%rax,8)\0"),
        note(
            CODE + 0x30,
            DATA - 0x10,
            DATA + 0x10,
            b"pf\0moved\0-8@x0 4@[sp, 8]\0",
        ),
    ])
}

fn functions() -> Words {
    symbols(
        Part::Symbols,
        &[
            symbol(b"main", 0x12, 1, CODE),
            symbol(b"_ZN6engine5Query3runEi", 0x12, 1, CODE + 0x40),
            symbol(
                b"_ZN4core3fmt9Formatter3pad17h0123456789abcdefE",
                0x12,
                1,
                CODE + 0x80,
            ),
            symbol(b"_RNvCs1234_7mycrate3foo", 0x12, 1, CODE + 0xc0),
            symbol(b"data", 0x11, 1, DATA),
            symbol(b"elsewhere", 0x12, 0, CODE),
        ],
    )
}

/// A program as compilers make it.
#[must_use]
pub fn whole() -> Vec<u8> {
    [
        loaded(),
        probes(),
        functions(),
        symbols(
            Part::DynamicSymbols,
            &[symbol(b"sqlite3_step@@V1", 0x12, 1, CODE + 0x100)],
        ),
        section(5, 1, 0, b"program.debug\0\0\0\x12\x34\x56\x78"),
        section(8, 1, DATA, b"\0"),
        section(9, 1, 0, b"\xff Go buildinf:"),
    ]
    .concat()
}

/// Descriptions in which something is wrong, and after which the rest still stands.
fn wrong() -> Vec<Vec<u8>> {
    let lengths = |of_owner: u64, of_rest: u64| {
        let words = [
            vec![4],
            number(of_owner),
            number(of_rest),
            number(CODE),
            number(0),
            number(0),
            text(b"a\0b\0\0"),
        ];
        [loaded(), notes(&[words.concat()]), functions()].concat()
    };
    let with = |end: Words| [whole(), end].concat();
    let mut all = vec![
        lengths(8, 0xffff_ffff),
        lengths(0xffff_fff0, 8),
        lengths(8, 20),
        [
            segment(5, u64::MAX - 0xfff, 0x1000, u64::MAX - 0x7ff),
            functions(),
        ]
        .concat(),
        [loaded(), probes(), claim(3, 3 << 30)].concat(),
        [loaded(), probes(), claim(2, u64::MAX)].concat(),
        [loaded(), probes(), claim(5, 3)].concat(),
        [loaded(), functions(), claim(4, 200)].concat(),
        [loaded(), functions(), claim(6, 0)].concat(),
        [loaded(), functions(), claim(3, u64::MAX)].concat(),
        with(section(5, 1, 0, b"../../etc/shadow\0")),
        with(section(6, 1, 0, b"/dev/zero\0")),
        with(section(7, 1, 0, b"x\0")),
        with(part(Part::Machine, &[&[1, 1]])),
        with(part(Part::Byte, &[&number(4), &[1]])),
    ];
    // The number of sections and that of their names.
    for at in [60, 61, 62, 63] {
        all.push(with(part(Part::Byte, &[&number(at), &[0xff]])));
    }
    all
}

/// Inputs of `elf`: descriptions, and the files themselves.
#[must_use]
pub fn elf() -> Vec<Vec<u8>> {
    let mut descriptions = vec![whole(), loaded(), probes(), functions()];
    descriptions.extend(wrong());
    let long = [&[0, 0xff, b'a', 33][..], &[0x12, 1], &number(CODE)].concat();
    descriptions.push([loaded(), symbols(Part::Symbols, &[long])].concat());
    let files: Vec<_> = descriptions.iter().map(|bytes| described(bytes)).collect();
    descriptions.extend(files);
    descriptions.push(Vec::new());
    descriptions
}

/// Inputs of `names`.
#[must_use]
pub fn names() -> Vec<Vec<u8>> {
    let of = |kind: Kind, texts: &[&str]| -> Vec<Vec<u8>> {
        texts
            .iter()
            .map(|text| [&[kind as u8], text.as_bytes()].concat())
            .collect()
    };
    let mut all = of(
        Kind::Symbol,
        &[
            "_ZN6engine5Query3runEi",
            "_ZN4core3fmt9Formatter3pad17h0123456789abcdefE",
            "_ZNSt6vectorIiSaIiEE9push_backERKi",
            "_ZNKSt3mapISsSt4pairIiPFvS0_EESt4lessISsEEixERKSs",
            "_ZZN1AC1EvENKUlT_DpT0_E_clIiJcdEEEDaS_S0_",
            "_Z1fIJiEEvDpT_PFvDpS0_E",
            "_ZGVZ3foovE1x",
            "_ZTv0_n24_N1C1fEv",
            "_ZdlPv",
            "_Z3addIXadL_Z1fvEEEDTplcvT_fp_ES0_",
            "_RNvCs1234_7mycrate3foo",
            "_RNvMsr_NtCs3ssYzQotkvD_3std4pathNtB5_7PathBuf3newCs15kBYyAo9fc_7mycrate",
            "_RINvNtC3std3mem8align_ofdE",
            "_RNCNvC4test4mains_0",
            "_RNvXs_C4testINtB4_3VecpENtNtC4core3fmt5Debug3fmt",
            "_RIC0KRe616263_E",
            "plain",
            "",
        ],
    );
    all.extend(of(
        Kind::Arguments,
        &[
            "-4@%eax 8@%r15 1@%r8b",
            "4@$71 -8@$-9",
            "-4@-1204(%rbp) 8@(%rsp) 1@-96(%rbp,%rax,8) 2@(%rbp,%rax)",
            "8@x0 -4@w1 8@[sp, 8] 4@[x29,#-16] 8@sp 1@-5",
            "8@%rip 16@%xmm0 4@sym(%rip)",
            "((((",
        ],
    ));
    all.extend(of(
        Kind::Map,
        &[
            "1000 10 first\n1010 20 LazyCompile:*two words a.js:1\n0x2000 0x1 prefixed\n",
            "1000 100 old\n1080 10 new\n0 ffffffffffffffff all\n",
            "\n1000\n1000 10\n1000 10 \nxyz 10 a\n-1 10 a\nffffffffffffffff ffffffffffffffff b\n",
            "fffffffffffffffe 2 end",
            "1000 10 \u{3000}\n",
        ],
    ));
    all
}
