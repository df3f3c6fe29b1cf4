// The README's example, compiled and run by the tests; README.md holds it word for word.
#include <cstdio>
#include <verso/verso.hpp>
int main() {
    auto region = verso::Region::create({.size = 64 << 20}).value();
    char* text = reinterpret_cast<char*>(region.bytes().data());
    std::snprintf(text, 32, "before");
    auto snapshot = region.snapshot().value();  // other threads may be writing meanwhile
    std::snprintf(text, 32, "after");
    auto child = snapshot.fork().value();  // shares every page that it does not write
    char* forked = reinterpret_cast<char*>(child.bytes().data());
    std::snprintf(forked + 6, 26, ", and a child's own words");
    std::printf("parent: %s\nchild:  %s\n", text, forked);
    region.rewind(snapshot).value();  // touches only the pages written since
    std::printf("parent: %s\n", text);
}
