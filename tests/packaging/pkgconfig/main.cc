// A consumer in three lines, built with pkg-config --cflags --libs verso.
#include <verso/verso.hpp>
int main() { return verso::Region::create({.size = verso::page_bytes})->size() == 4096 ? 0 : 1; }
