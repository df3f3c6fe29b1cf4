// Program: what is done to a piece of memory, as a value. It says which kind of memory, how much of
// it and which userfaultfd features, and then one step after another: an access, a call, or a
// nudge to the kernel. The same program runs on the model and on the running kernel (run.h), is
// printed in documents, and can be written by hand, by a generator, or read from a file:
//
//   SS: store; REGISTER(WP); WRITEPROTECT; migrate; store -> msg
//   A, async, 2 pages: REGISTER(WP); arm; store@1 -> silent [P] written
//
//   A, messages: REGISTER(MISSING); t1 store -> blocked; messages -> missing+write@0; ZEROPAGE ->
//   t1:done
//
//   program := kind {"," option} ":" step {";" step}
//   option  := N "pages" | "huge" (as many as a huge page) | messages | a feature of words.cc
//   step    := ["child"] ["other"] ["t" N] verb ["(" word {"|" word} ")"] ["@" place] ["&"]
//              ["->" expected …]
//   place   := first ["-" last] | "all", a tick after it: the second area (mremap's, MOVE's source)
//              "+" after that: half a page later, where no page begins
//
// "child" makes the step in the process that `fork` began, "other" through a second userfaultfd.
// The userfaultfd is opened, with SIGBUS, by the first step that needs one: so that every message
// is a signal in the thread that made the access, and one thread is enough (section 12 of the
// specification). Where no place is given, accesses and fills are made at page 0, everything else
// on the whole area. What may be expected of a step: the word of its outcome (done, silent, msg,
// SIGSEGV, EINVAL, = 3, …), what its pages hold afterwards ([Pu K(WP)]), and whether its first page
// is `written` or `clean` to PAGEMAP_SCAN.
//
// With `messages` there is no SIGBUS: whoever meets a fault of the userfaultfd's sleeps in it, and
// the step's outcome is `blocked`. "t1", "t2", … make the step in a further thread, so that others
// go on meanwhile; what becomes of those that sleep is seen beside each later step (t1:blocked,
// t1:done, main:= 3). The step `messages` reads what the userfaultfd has to say. With EVENT_FORK a
// child's own userfaultfd comes with its message and is closed, unless it is `messages(KEEP)`: from
// then on it is what "other" means. A step with "&" is not awaited: the next ones race with it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/types.h"

namespace verso::check {

/// Section 1.5: anonymous; shmem, hugetlb and an ordinary file, each shared and private.
enum class Kind : u8 { A, SS, SP, HS, HP, FS, FP };
inline constexpr Kind every_kind[] = {Kind::A,  Kind::SS, Kind::SP, Kind::HS,
                                      Kind::HP, Kind::FS, Kind::FP};

enum class Verb : u8 {
    load,
    store,
    read,   // by the kernel, on the thread's behalf
    write,  // likewise
    force,  // … past the mapping's permissions
    pin,    // as for a device that writes
    unpin,
    lock,
    file_write,  // through the file, not the mapping
    map,         // the second area, as anonymous memory; mode: MapMode
    unmap,
    remap,     // to the same pages of the second area; mode: RemapFlag, RemapMode
    protect,   // mode: MapFlag
    advise,    // mode: kernel::Advice
    truncate,  // the file, from that page on
    punch,
    register_,  // mode: RegisterMode
    unregister,
    wake,
    write_protect,  // mode: 1 set, 0 clear
    copy,           // mode: FillFlag
    zeropage,
    continue_,
    poison,
    move,  // from the same page of the second area; mode: MoveFlag
    close,
    fork,
    exit,
    clear_refs,
    scan,     // mode: categories that a page must have
    arm,      // … and protects those pages in the same step
    provoke,   // mode: kernel::Trigger
    messages,  // mode: 1: the userfaultfd that came with a child becomes the program's "other" one
};

/// Beyond the categories that a page must have, a scan's mode says which it must not have (`!X`),
/// that nothing is reported (BLIND), and that one page is enough (ONE).
struct ScanMode {
    static constexpr unsigned without_shift = 16;
    static constexpr u64 categories = 0xffff, blind = u64{1} << 48, one = u64{1} << 49;
};

/// Beyond mremap()'s own flags: it stays where it is, and a page less or more is asked for; it goes
/// to right behind where it was, or to where the kernel finds room.
struct RemapMode {
    static constexpr u64 here = 1 << 8, shorter = 1 << 9, longer = 1 << 10;
    static constexpr u64 next = 1 << 11, anywhere = 1 << 12;
};
/// The program's file (of kind A there is none) instead of anonymous memory; MAP_SHARED; the file
/// from its second page on, or from the middle of its first; where the kernel finds room;
/// MAP_DROPPABLE (6.11).
struct MapMode {
    static constexpr u64 file = 1, shared = 2, later = 4, askew = 8, anywhere = 16, droppable = 32;
};

/// Beside the features of the handshake, of which this is none: UFFD_USER_MODE_ONLY (5.11).
inline constexpr u64 user_mode_only = u64{1} << 63;

inline constexpr u32 threads_max = 9;  // of one process, beside its main thread

struct Place {
    u32 first = 0;
    u32 count = 0;  // 0: to the end of the area
    bool second = false;
    bool askew = false;  // begins half a page later: where no page begins
    friend bool operator==(const Place&, const Place&) = default;
};

struct Step {
    Verb verb = Verb::load;
    bool child = false;
    bool other = false;
    bool background = false;  // "&"
    u32 thread = 0;           // 0: the process' main thread
    u64 mode = 0;
    u64 value = 0;  // store, write, force, file_write, copy: 0 means the step's number
    Place at{};
    std::vector<std::string> expected{};
    friend bool operator==(const Step&, const Step&) = default;
};

struct Program {
    Kind kind = Kind::A;
    u32 pages = 1;  // of 4 KiB; hugetlb: huge ones
    bool huge = false;
    bool messages = false;  // instead of SIGBUS
    u64 features =
        0;  // without which the program makes no sense; SIGBUS and such come by themselves
    std::vector<Step> steps{};
    friend bool operator==(const Program&, const Program&) = default;
};

Result<Program> parse(std::string_view text);
std::string to_text(const Program& program);
std::string to_text(const Step& step);
std::string_view name_of(Kind kind);
/// May a further thread make it? Not what carries more than its numbers (PAGEMAP_SCAN, write(2)).
bool may_sleep(const Step& step);
/// Through the userfaultfd's descriptor: none of these waits for its reader.
bool is_uffd_ioctl(Verb verb);
/// Accesses, fills: one page unless the program says otherwise.
bool takes_one_page(Verb verb);
bool is_hugetlb(Kind kind);
bool is_shared(Kind kind);

}  // namespace verso::check
