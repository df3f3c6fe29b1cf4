// InlineVector: a vector whose first N elements lie inside it, for values that are copied, compared
// and hashed millions of times a second.
//
//   size ≤ N   ┌ size ┬ element │ element │ … │ 0 0 0 ┐     no allocation
//   size > N   ┌ size ┬ pointer ┬ 0 0 0 ──────────────┐──▶ capacity │ elements
//
// Where the elements are follows from the size alone, and unused room is zero: two equal vectors
// that fit are equal bytes. A value made of such vectors is then one block of bytes, too: flat()
// says so, and memcpy, memcmp and one call of a hash function do for the whole of it what a walk
// over its parts would (mm::State). Shrinking to N brings the elements back inside.
//
// Why not boost::container::small_vector (1.74): a pointer into itself and three words for each
// make a State of 1568 bytes instead of 1016, and no block of bytes. Measured with the same parts
// (g++ 12 -O2, ns): to construct a copy 36 against 21, to assign one 24 against 23, to compare five
// of its vectors 26 against 11. static_vector copies in 16, but cannot grow.
//
// T: its objects may be moved by copying their bytes. That is every trivially copyable type, and
// every type made of those and of InlineVectors, which says so by a member flat(). Elements have no
// padding. References and iterators end with any call that changes the size.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <new>
#include <span>
#include <type_traits>
#include <utility>

#include "base/check.h"
#include "base/types.h"

namespace verso {

/// No part of the value lies outside it.
template <class T>
bool is_flat(const T& value) {
    if constexpr (std::is_trivially_copyable_v<T>) {
        return true;
    } else {
        return value.flat();
    }
}

template <class T, std::size_t N>
class InlineVector {
    static constexpr bool trivial = std::is_trivially_copyable_v<T>;
    static_assert(alignof(T) <= 8 && N > 0 && N * sizeof(T) >= sizeof(void*));

public:
    using value_type = T;
    using size_type = std::size_t;
    using difference_type = std::ptrdiff_t;
    using reference = T&;
    using const_reference = const T&;
    using iterator = T*;
    using const_iterator = const T*;
    static constexpr std::size_t inside = N;

    InlineVector() { forget(); }
    explicit InlineVector(std::size_t count, const T& value = T{}) : InlineVector() {
        resize(count, value);
    }
    InlineVector(std::initializer_list<T> from) : InlineVector() {
        append(from.begin(), from.size());
    }
    template <std::forward_iterator It>
    InlineVector(It first, It last) : InlineVector() {
        for (; first != last; ++first) {
            push_back(*first);
        }
    }
    InlineVector(const InlineVector& other) {
        if (other.flat()) {
            copy_bytes(other);
        } else {
            forget();
            append(other.data(), other.size());
        }
    }
    InlineVector(InlineVector&& other) noexcept {
        copy_bytes(other);
        other.forget();
    }
    InlineVector& operator=(const InlineVector& other) {
        if (flat() && other.flat()) {
            copy_bytes(other);
        } else if (this != &other) {
            *this = InlineVector(other);
        }
        return *this;
    }
    InlineVector& operator=(InlineVector&& other) noexcept {
        if (this != &other) {
            destroy();
            copy_bytes(other);
            other.forget();
        }
        return *this;
    }
    ~InlineVector() { destroy(); }

    std::size_t size() const { return size_; }
    bool empty() const { return size_ == 0; }
    /// Equal flat vectors are equal bytes.
    bool flat() const {
        if (size_ > N) {
            return false;
        }
        if constexpr (!trivial) {
            for (const T& one : *this) {
                if (!is_flat(one)) {
                    return false;
                }
            }
        }
        return true;
    }

    T* data() { return size_ > N ? outside() : within(); }
    const T* data() const { return const_cast<InlineVector*>(this)->data(); }
    T* begin() { return data(); }
    const T* begin() const { return data(); }
    T* end() { return data() + size_; }
    const T* end() const { return data() + size_; }
    // Through a span: it checks the index wherever the standard library checks itself.
    T& operator[](std::size_t index) { return std::span<T>(data(), size_)[index]; }
    const T& operator[](std::size_t index) const {
        return std::span<const T>(data(), size_)[index];
    }
    T& front() { return (*this)[0]; }
    const T& front() const { return (*this)[0]; }
    T& back() { return (*this)[size_ - 1]; }
    const T& back() const { return (*this)[size_ - 1]; }

    void push_back(T value) { std::construct_at(open(size_, 1), std::move(value)); }
    T& emplace_back() { return *std::construct_at(open(size_, 1)); }
    void pop_back() { erase(end() - 1); }
    T* insert(const T* before, T value) {
        return std::construct_at(open(index_of(before), 1), std::move(value));
    }
    T* erase(const T* at) { return erase(at, at + 1); }
    T* erase(const T* first, const T* last) {
        const std::size_t at = index_of(first);
        const auto count = static_cast<std::size_t>(last - first);
        if (count == 0) {
            return data() + at;
        }
        VERSO_CHECK(at <= size_ && count <= size_ - at, "{} of {} elements at {}", count, size_,
                    at);
        std::destroy_n(data() + at, count);
        close(at, count);
        return data() + at;
    }
    void clear() { *this = InlineVector(); }
    void resize(std::size_t count, const T& value = T{}) {
        if (count > size_) {
            const std::size_t before = size_;
            std::uninitialized_fill_n(open(before, count - before), count - before, value);
        } else {
            erase(begin() + count, end());
        }
    }

    friend bool operator==(const InlineVector& one, const InlineVector& two) {
        if (one.size_ != two.size_) {
            return false;
        }
        if constexpr (trivial) {
            static_assert(std::has_unique_object_representations_v<T>, "padding");
            return std::memcmp(one.data(), two.data(), one.size_ * sizeof(T)) == 0;
        } else {
            return std::equal(one.begin(), one.end(), two.begin());
        }
    }
    /// As std::erase_if: how many went.
    template <class Predicate>
    friend std::size_t erase_if(InlineVector& from, Predicate goes) {
        const std::size_t before = from.size();
        from.erase(std::remove_if(from.begin(), from.end(), goes), from.end());
        return before - from.size();
    }

private:
    // As wide as the alignment, so that no padding follows.
    using Size = std::conditional_t<(alignof(T) > 4), u64, u32>;
    static constexpr std::size_t head = 16;  // bytes before the elements outside: their capacity

    T* within() { return reinterpret_cast<T*>(storage_.data()); }
    // A pointer is what is copied here: the linter suspects its target was meant.
    T* outside() const {
        T* elements = nullptr;
        std::memcpy(&elements, storage_.data(), sizeof(T*));  // NOLINT(bugprone-sizeof-expression)
        return elements;
    }
    static std::byte* block_of(T* elements) {
        return reinterpret_cast<std::byte*>(elements) - head;
    }
    static std::size_t capacity_of(T* elements) {
        std::size_t capacity = 0;
        std::memcpy(&capacity, block_of(elements), sizeof(capacity));
        return capacity;
    }
    static T* allocate(std::size_t capacity) {
        auto* const block = static_cast<std::byte*>(::operator new(head + capacity * sizeof(T)));
        std::memcpy(block, &capacity, sizeof(capacity));
        return reinterpret_cast<T*>(block + head);
    }
    static void free(T* elements) { ::operator delete(block_of(elements)); }

    std::size_t index_of(const T* at) const { return static_cast<std::size_t>(at - data()); }
    void copy_bytes(const InlineVector& other) {
        std::memcpy(static_cast<void*>(this), static_cast<const void*>(&other), sizeof(other));
    }
    void forget() {
        size_ = 0;
        storage_.fill(std::byte{0});
    }
    void destroy() {
        if constexpr (!trivial) {
            std::destroy_n(data(), size_);
        }
        if (size_ > N) {
            free(outside());
        }
    }
    static void move(T* to, const T* from, std::size_t count) {
        if (count != 0) {
            std::memmove(static_cast<void*>(to), static_cast<const void*>(from), count * sizeof(T));
        }
    }
    void append(const T* from, std::size_t count) {
        std::uninitialized_copy_n(from, count, open(size_, count));
    }

    /// Makes room for `count` elements at `at`, and counts them; the caller constructs them.
    T* open(std::size_t at, std::size_t count) {
        const std::size_t size = size_;
        T* const old = data();
        T* now = old;
        if (size + count > (size > N ? capacity_of(old) : N)) {
            now = allocate(std::max(size + count, 2 * size));
            move(now, old, at);
        }
        move(now + at + count, old + at, size - at);
        if (now != old) {
            if (size > N) {
                free(old);
            }
            storage_.fill(std::byte{0});
            std::memcpy(storage_.data(), &now, sizeof(T*));  // NOLINT(bugprone-sizeof-expression)
        }
        size_ = static_cast<Size>(size + count);
        return now + at;
    }
    /// The reverse: `count` elements at `at` are destroyed already.
    void close(std::size_t at, std::size_t count) {
        const std::size_t left = size_ - count;
        T* const old = data();
        if (size_ > N && left <= N) {
            storage_.fill(std::byte{0});
            move(within(), old, at);
            move(within() + at, old + at + count, left - at);
            free(old);
        } else {
            move(old + at, old + at + count, left - at);
            if (left <= N) {
                std::memset(static_cast<void*>(old + left), 0, count * sizeof(T));
            }
        }
        size_ = static_cast<Size>(left);
    }

    // Every constructor sets all bytes, a copy only once.
    Size size_;
    alignas(T) std::array<std::byte, N * sizeof(T)> storage_;
};

}  // namespace verso
