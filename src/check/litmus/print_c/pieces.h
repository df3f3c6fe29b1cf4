// The parts of a printed C program that are the same in all of them: text, and the names that it
// defines. A program gets those whose names it mentions, and what these mention in turn, so that
// nothing in it is unused.
//
//   numbers   what the distribution's headers are too old for: structures, ioctls, advice
//   calls     one call or access each, and the word for what came of it
//   triggers  reclaim, migration, merging, …, with what they change of the machine and put back
//   machine   settings and the swap file that those need
//   actors    processes and threads that make the steps, each told by a line of its own
//   look      page tables, messages, and what is printed of them
//   judge     whether a condition holds
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace verso::check::print_c {

struct Piece {
    std::string_view names;  // blanks between; whoever mentions one needs the piece
    std::string_view text;
};

/// What a line in a piece depends on that begins "@NAME " or, if it is not to be so, "@!NAME ".
struct Conditions {
    bool uffd = false;      // some userfaultfd is opened
    bool messages = false;  // instead of SIGBUS
    bool threads = false;   // further ones
    bool sleepers = false;  // even the first thread may come to sleep
    bool copies = false;    // UFFDIO_COPY
    bool machine = false;   // settings are changed
    bool swap = false;
    bool hints = false;  // of the NUMA balancer
    bool luck = false;   // a trigger may fail to act
    bool keeps = false;  // a child's userfaultfd, which came with its message
    bool user_mode = false;

    bool holds(std::string_view name) const;
};

std::string numbers_text(std::string_view used);
const std::vector<Piece>& call_pieces();
const std::vector<Piece>& fill_pieces();
const std::vector<Piece>& trigger_pieces();
const std::vector<Piece>& machine_pieces();
const std::vector<Piece>& actor_pieces();
const std::vector<Piece>& look_pieces();
const std::vector<Piece>& judge_pieces();

/// Does the text mention that name, as a whole word?
bool mentions(std::string_view text, std::string_view name);
/// Of all pieces those that `program` needs, in an order in which each stands behind what it needs.
std::string needed(std::string_view program, const Conditions& conditions);
/// Only the lines that are to be.
std::string only(std::string_view text, const Conditions& conditions);

}  // namespace verso::check::print_c
