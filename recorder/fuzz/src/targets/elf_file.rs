//! Makes ELF files from descriptions. Bytes changed at random hardly ever leave a file whose headers, tables and names belong
//! together; those of a description do, and change one thing of a file that is otherwise right.
//!
//! A description is a list of parts, each a byte that says what it is and what that needs. Behind its end are zeros.

use object::elf;

/// Parts of one file.
const PARTS: usize = 64;
/// Bytes of one file.
const LARGEST: usize = 256 << 10;

const HEADER: usize = 64;
const SEGMENT: usize = 56;
const SECTION: usize = 64;
const SYMBOL: u64 = 24;

/// Names of sections that mean something.
const NAMES: [&str; 10] = [
    "",
    ".note.stapsdt",
    ".symtab",
    ".dynsym",
    ".strtab",
    ".gnu_debuglink",
    ".gnu_debugaltlink",
    ".debug_sup",
    ".stapsdt.base",
    ".go.buildinfo",
];

/// What a part is. Then come:
#[derive(Clone, Copy)]
pub enum Part {
    /// A segment: flags, three numbers (address, bytes in the file, offset).
    Segment,
    /// Probes: a byte, how many, and for each what `Description::note` reads.
    Notes,
    /// `.symtab`: a byte, how many, and for each a text, its kind, its section, its address.
    Symbols,
    /// `.dynsym`: the same.
    DynamicSymbols,
    /// Any section: its name, its type, its address, its bytes as a text.
    Section,
    /// The last section claims another: type, address, offset, bytes, link, alignment, bytes of an entry; which, and a number.
    Claim,
    /// A byte of the finished file is another: where, and which.
    Byte,
    /// The machine and the order of bytes.
    Machine,
}

impl Part {
    const ALL: [Self; 8] = [
        Self::Segment,
        Self::Notes,
        Self::Symbols,
        Self::DynamicSymbols,
        Self::Section,
        Self::Claim,
        Self::Byte,
        Self::Machine,
    ];
}

/// What a section header has, besides its name.
#[derive(Clone, Copy, Default)]
struct Head {
    name: u8,
    /// Type, address, offset, bytes, link, alignment, bytes of an entry.
    fields: [u64; FIELDS],
}

/// Where a section header has its fields, see `Head`.
const KIND: usize = 0;
const ADDRESS: usize = 1;
const OFFSET: usize = 2;
const SIZE: usize = 3;
const LINK: usize = 4;
const ALIGN: usize = 5;
const ENTRY: usize = 6;
const FIELDS: usize = 7;

struct Description<'a>(&'a [u8]);

impl<'a> Description<'a> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    /// One byte reaches what addresses and sizes have in files, and their extremes.
    fn number(&mut self) -> u64 {
        match self.byte() {
            small @ 0..0xc0 => u64::from(small) * 16,
            page @ 0xc0..0xe0 => u64::from(page & 0x1f) << 12,
            bit @ 0xe0..0xf0 => 1 << (4 * (bit & 15)),
            large @ 0xf0..0xfc => u64::MAX - u64::from(large & 15),
            _ => {
                let mut bytes = [0; 8];
                bytes.fill_with(|| self.byte());
                u64::from_le_bytes(bytes)
            }
        }
    }

    fn text(&mut self) -> Vec<u8> {
        match self.byte() {
            // The same letter some thousand times.
            0xff => {
                let (letter, times) = (self.byte(), self.byte());
                vec![letter; usize::from(times) * 64]
            }
            len => {
                let (text, rest) = self.0.split_at(usize::from(len).min(self.0.len()));
                self.0 = rest;
                text.to_vec()
            }
        }
    }

    /// Its shape: 1, another type; 2, another owner; 4, other lengths. Three addresses, and a text.
    fn note(&mut self, out: &mut Output) {
        let shape = self.byte();
        let kind = if shape & 1 == 0 { 3 } else { self.number() };
        let owner = if shape & 2 == 0 {
            b"stapsdt\0".to_vec()
        } else {
            self.text()
        };
        let lengths = (shape & 4 != 0).then(|| [self.number(), self.number()]);
        let addresses = [self.number(), self.number(), self.number()];
        let text = self.text();
        let [of_owner, of_rest] = lengths.unwrap_or([owner.len() as u64, 24 + text.len() as u64]);
        for word in [of_owner, of_rest, kind] {
            out.u32(word as u32);
        }
        out.bytes.extend(owner);
        out.align(4);
        for address in addresses {
            // The reader takes them in this order of bytes.
            out.bytes.extend(address.to_le_bytes());
        }
        out.bytes.extend(text);
        out.align(4);
    }

    fn symbol(&mut self, out: &mut Output, names: &mut Vec<u8>) {
        out.u32(names.len() as u32);
        names.extend(self.text());
        names.push(0);
        let (kind, section) = (self.byte(), self.byte());
        out.bytes.extend([kind, 0]);
        out.u16(section.into());
        out.u64(self.number());
        out.u64(16);
    }
}

#[derive(Default)]
struct Output {
    bytes: Vec<u8>,
    is_big: bool,
}

impl Output {
    fn u16(&mut self, value: u16) {
        let bytes = if self.is_big {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        };
        self.bytes.extend(bytes);
    }

    fn u32(&mut self, value: u32) {
        let bytes = if self.is_big {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        };
        self.bytes.extend(bytes);
    }

    fn u64(&mut self, value: u64) {
        let bytes = if self.is_big {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        };
        self.bytes.extend(bytes);
    }

    fn align(&mut self, to: usize) {
        self.bytes.resize(self.bytes.len().next_multiple_of(to), 0);
    }
}

/// A file that is being made.
#[derive(Default)]
struct Draft {
    out: Output,
    segments: Vec<[u64; 4]>,
    sections: Vec<Head>,
    changes: Vec<(u64, u8)>,
    machine: u8,
}

/// The file of a description.
#[must_use]
pub fn described(description: &[u8]) -> Vec<u8> {
    let mut rest = Description(description);
    let mut draft = Draft::default();
    draft.out.bytes.resize(HEADER, 0);
    // The first one is nobody's.
    draft.sections.push(Head::default());
    for _ in 0..PARTS {
        if rest.0.is_empty() || draft.out.bytes.len() > LARGEST {
            break;
        }
        draft.part(&mut rest);
    }
    draft.finish()
}

impl Draft {
    fn part(&mut self, rest: &mut Description<'_>) {
        match Part::ALL[usize::from(rest.byte()) % Part::ALL.len()] {
            Part::Segment => {
                let flags = rest.byte().into();
                self.segments
                    .push([flags, rest.number(), rest.number(), rest.number()]);
            }
            Part::Notes => {
                let begin = self.out.bytes.len();
                for _ in 0..rest.byte() {
                    rest.note(&mut self.out);
                }
                self.section(1, elf::SHT_NOTE, begin);
            }
            Part::Symbols => self.symbols(2, elf::SHT_SYMTAB, rest),
            Part::DynamicSymbols => self.symbols(3, elf::SHT_DYNSYM, rest),
            Part::Section => {
                let (name, kind, address) = (rest.byte(), rest.byte(), rest.number());
                let begin = self.out.bytes.len();
                self.out.bytes.extend(rest.text());
                self.section(name, kind.into(), begin);
                self.claim(ADDRESS, address);
            }
            Part::Claim => {
                let field = usize::from(rest.byte()) % FIELDS;
                self.claim(field, rest.number());
            }
            Part::Byte => self.changes.push((rest.number(), rest.byte())),
            Part::Machine => {
                self.machine = rest.byte();
                self.out.is_big = rest.byte() & 1 != 0;
            }
        }
    }

    /// What was written since `begin`, in a section of this name.
    fn section(&mut self, name: u8, kind: u32, begin: usize) {
        let size = self.out.bytes.len() - begin;
        self.sections.push(Head {
            name: name % NAMES.len() as u8,
            fields: [kind.into(), 0, begin as u64, size as u64, 0, 4, 0],
        });
        self.out.align(8);
    }

    fn claim(&mut self, field: usize, value: u64) {
        if let Some(last) = self.sections.last_mut() {
            last.fields[field] = value;
        }
    }

    fn symbols(&mut self, name: u8, kind: u32, rest: &mut Description<'_>) {
        let mut names = vec![0];
        let begin = self.out.bytes.len();
        // The first one is nobody's.
        self.out.bytes.resize(begin + SYMBOL as usize, 0);
        for _ in 0..rest.byte() {
            rest.symbol(&mut self.out, &mut names);
        }
        let end = self.out.bytes.len();
        self.out.bytes.extend(names);
        self.section(4, elf::SHT_STRTAB, end);
        let link = self.sections.len() as u64 - 1;
        self.section(name, kind, begin);
        self.claim(SIZE, (end - begin) as u64);
        self.claim(LINK, link);
        self.claim(ENTRY, SYMBOL);
    }

    fn finish(mut self) -> Vec<u8> {
        let names_at = self.out.bytes.len();
        let mut starts = Vec::new();
        for name in NAMES {
            starts.push(self.out.bytes.len() - names_at);
            self.out.bytes.extend(name.bytes().chain([0]));
        }
        self.section(0, elf::SHT_STRTAB, names_at);
        let segments_at = self.out.bytes.len();
        for [flags, address, size, offset] in self.segments.clone() {
            self.out.u32(elf::PT_LOAD);
            self.out.u32(flags as u32);
            for value in [offset, address, address, size, size, 4096] {
                self.out.u64(value);
            }
        }
        let sections_at = self.out.bytes.len();
        for Head { name, fields } in self.sections.clone() {
            self.out.u32(starts[usize::from(name)] as u32);
            self.out.u32(fields[KIND] as u32);
            // Flags.
            self.out.u64(0);
            for field in [ADDRESS, OFFSET, SIZE] {
                self.out.u64(fields[field]);
            }
            self.out.u32(fields[LINK] as u32);
            self.out.u32(0);
            self.out.u64(fields[ALIGN]);
            self.out.u64(fields[ENTRY]);
        }
        let head = self.header(segments_at, sections_at);
        let mut file = self.out.bytes;
        file[..HEADER].copy_from_slice(&head);
        for (at, byte) in self.changes {
            if let Some(place) = usize::try_from(at).ok().and_then(|at| file.get_mut(at)) {
                *place = byte;
            }
        }
        file
    }

    fn header(&self, segments_at: usize, sections_at: usize) -> Vec<u8> {
        let order = if self.out.is_big {
            elf::ELFDATA2MSB
        } else {
            elf::ELFDATA2LSB
        };
        let mut head = Output {
            bytes: [elf::ELFMAG.as_slice(), &[elf::ELFCLASS64, order, 1, 0]].concat(),
            is_big: self.out.is_big,
        };
        head.align(16);
        head.u16(elf::ET_DYN);
        head.u16([elf::EM_X86_64, elf::EM_AARCH64, elf::EM_386][usize::from(self.machine) % 3]);
        head.u32(1);
        head.u64(0);
        head.u64(segments_at as u64);
        head.u64(sections_at as u64);
        head.u32(0);
        for (size, count) in [(SEGMENT, self.segments.len()), (SECTION, self.sections.len())] {
            if size == SEGMENT {
                head.u16(HEADER as u16);
            }
            head.u16(size as u16);
            head.u16(count as u16);
        }
        head.u16(self.sections.len() as u16 - 1);
        head.bytes
    }
}
