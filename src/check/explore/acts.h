// Acts: the alphabet of a search. An act is one step of a program in the notation, and the calls of
// the model that it is made of.
#pragma once

#include "check/explore/scope.h"
#include "mm/model.h"

namespace verso::check::explore {

struct Act {
    std::string name;             ///< as the notation writes it, or what it does
    Step step{};                  ///< as a step of a program …
    bool notation = true;         ///< … if the notation has one
    std::vector<mm::Call> calls;  ///< one after the other while each is done
    bool by_kernel = false;       ///< once for each process, whichever thread
    u8 thread = 0;                ///< who
    u32 page = 0;                 ///< the first one
    u16 row = 0;                  ///< of the table: acts of one row differ in who, where and what
    u32 value = 1;                ///< what it stores
};

/// In the order of their names' first appearance here; the same for every kind.
std::vector<Act> acts_of(const Scope& scope);
/// Every word that `calls` and `without` may hold.
std::vector<std::string> words_of_acts();
/// Does this word of `calls` mean the act? "mprotect" means all of "mprotect(…)".
bool means(std::string_view word, std::string_view act_name);

/// A machine to begin with. Nothing: this kernel has no such mode or kind; `why_not` says so.
struct Beginning {
    Kind kind;
    Mode mode;
    mm::State state{};
    std::string why_not{};
};
std::vector<Beginning> beginnings_of(const Scope& scope, const mm::Rules& rules);
std::string name_of(const Beginning& beginning);

}  // namespace verso::check::explore
