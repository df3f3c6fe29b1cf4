// A program's steps as C: who makes each, and what it does.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "check/litmus/print_c/pieces.h"
#include "check/program/program.h"

namespace verso::check::print_c {

/// A process, or a further thread of one.
struct Actor {
    std::string name;     // as traces call it; a process' own loop has none
    std::string id;       // in C
    std::string process;  // its process' id
    bool at_once = false;
};

/// What is known of a program before it runs. Its userfaultfds are numbered in the order in which
/// they are opened: after `close`, the next step that needs one opens another.
struct Plan {
    const Program& program;
    Conditions conditions;
    std::vector<Actor> actors;
    std::vector<std::string> whose;     // of each step: who makes it
    std::vector<std::string> children;  // of each step: the process that it begins; "" none
    std::vector<int> uffd;              // of each step: which it uses, -1 none
    std::vector<bool> opens;            // … and is the first to
    std::vector<int> keeps;             // of each step: which one a child's becomes, -1 none
    std::vector<bool> by_thread;
    int uffds = 0;
};

Result<Plan> plan_of(const Program& program);
/// The function that makes all of them.
std::string perform_text(const Plan& plan);
/// The tables of actors and steps.
std::string tables_text(const Plan& plan);

}  // namespace verso::check::print_c
