// A random history of one family of regions, beside plain copies of everything. After every step
// the thing that the step concerned must equal its copy byte for byte; at the end everything must.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "support/backends.h"

namespace verso::test {

class FullCopy {
public:
    FullCopy(Backend backend, u64 seed);
    /// Plays so many steps and compares; gtest failures say what differs.
    void play(unsigned steps);

private:
    struct Node {
        std::optional<Region> region;
        std::vector<std::byte> truth;
        unsigned depth = 0;
        Mark mark;
        std::vector<bool> written;  // since mark
    };
    struct Frame {
        Snapshot snapshot;
        std::vector<std::byte> truth;
        std::size_t node;
        unsigned depth;
    };

    void step();
    void store(Node& node);
    void rewrite(Node& node);
    void take(std::size_t node);
    void fork();
    void rewind(std::size_t node);
    void discard(Node& node);
    void ask_written(Node& node);
    void release();
    void compare(const Node& node, const char* when);
    void compare(const Frame& frame, const char* when);
    std::optional<std::size_t> any_node();
    void note(Node& node, u64 page) { node.written[page] = true; }

    Random random_;
    u64 pages_;
    std::vector<Node> nodes_;
    std::vector<std::unique_ptr<Frame>> frames_;
    std::string story_;
};

}  // namespace verso::test
