// What all searches of one object share: counted memory, numbered transitions, counted supplies.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

namespace search {

using i32 = std::int32_t;
using i64 = std::int64_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;

struct MemorySpent {};

// Counts bytes before they are allocated. A meter passes on what it takes to its parent.
class Meter {
 public:
  explicit Meter(Meter* parent = nullptr) : parent_(parent) {}
  ~Meter() {
    if (parent_ != nullptr) parent_->give(held);
  }
  Meter(const Meter&) = delete;
  Meter& operator=(const Meter&) = delete;

  void take(std::size_t bytes) {
    if (held > limit || bytes > limit - held) throw MemorySpent{};
    if (parent_ != nullptr) parent_->take(bytes);
    held += bytes;
  }
  void give(std::size_t bytes) {
    held -= bytes;
    if (parent_ != nullptr) parent_->give(bytes);
  }

  std::size_t held = 0;
  std::size_t limit = SIZE_MAX;

 private:
  Meter* parent_;
};

// A growing array of plain values whose bytes are counted.
template <class T>
class Array {
 public:
  explicit Array(Meter& meter) : meter_(&meter) {}
  ~Array() { release(); }
  Array(Array&& other) noexcept
      : meter_(other.meter_), data_(other.data_), size_(other.size_), capacity_(other.capacity_) {
    other.data_ = nullptr;
    other.size_ = other.capacity_ = 0;
  }
  Array(const Array&) = delete;
  Array& operator=(const Array&) = delete;
  Array& operator=(Array&&) = delete;
  void swap(Array& other) noexcept {
    std::swap(meter_, other.meter_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
  }

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  T& operator[](std::size_t i) { return data_[i]; }
  const T& operator[](std::size_t i) const { return data_[i]; }
  T& back() { return data_[size_ - 1]; }
  const T* begin() const { return data_; }
  const T* end() const { return data_ + size_; }
  void pop() { --size_; }
  void clear() { size_ = 0; }
  void truncate(std::size_t size) { size_ = size; }

  void push(const T& value) {
    if (size_ == capacity_) {
      const T copy = value;  // it may lie in the array
      reserve(size_ + 1);
      data_[size_++] = copy;
      return;
    }
    data_[size_++] = value;
  }
  void resize(std::size_t size, const T& value) {
    if (size > capacity_) reserve(size);
    while (size_ < size) data_[size_++] = value;
    size_ = size;
  }
  void reserve(std::size_t size) {
    if (size <= capacity_) return;
    std::size_t grown = capacity_ + capacity_ / 2 + 4;
    if (grown < size || capacity_ == 0) grown = size < 4 ? 4 : size;
    meter_->take(grown * sizeof(T));  // both live while the values are copied
    void* moved = std::realloc(static_cast<void*>(data_), grown * sizeof(T));
    if (moved == nullptr) {
      meter_->give(grown * sizeof(T));
      throw MemorySpent{};
    }
    meter_->give(capacity_ * sizeof(T));
    data_ = static_cast<T*>(moved);
    capacity_ = grown;
  }
  void release() {
    std::free(static_cast<void*>(data_));
    meter_->give(capacity_ * sizeof(T));
    data_ = nullptr;
    size_ = capacity_ = 0;
  }

 private:
  Meter* meter_;
  T* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

inline u64 mixed(u64 h) {
  h ^= h >> 33;
  h *= 0xff51afd7ed558ccdULL;
  h ^= h >> 33;
  h *= 0xc4ceb9fe1a85ec53ULL;
  return h ^ (h >> 33);
}

// Finds entries of an array by hash: open addressing, at most half full.
class Index {
 public:
  explicit Index(Meter& meter) : meter_(&meter), places_(meter) {}

  // The entry with that hash of which same(entry) holds, or -1.
  template <class Same>
  i64 find(u64 hash, Same same) const {
    if (places_.empty()) return -1;
    const std::size_t last = places_.size() - 1;
    for (std::size_t i = hash & last; places_[i] != 0; i = (i + 1) & last) {
      if (same(places_[i] - 1)) return places_[i] - 1;
    }
    return -1;
  }
  // Makes room for one more entry. hash_of(entry) is the hash of an entry inserted before.
  template <class HashOf>
  void reserve(HashOf hash_of) {
    if ((count_ + 1) * 2 <= places_.size()) return;
    Array<u32> grown(*meter_);
    grown.resize(places_.empty() ? 64 : places_.size() * 2, 0);
    places_.swap(grown);
    for (u32 one : grown) {
      if (one != 0) put(hash_of(one - 1), one);
    }
  }
  void insert(u64 hash, u32 entry) {
    put(hash, entry + 1);
    ++count_;
  }

 private:
  void put(u64 hash, u32 one) {
    const std::size_t last = places_.size() - 1;
    std::size_t i = hash & last;
    while (places_[i] != 0) i = (i + 1) & last;
    places_[i] = one;
  }

  Meter* meter_;
  Array<u32> places_;
  std::size_t count_ = 0;
};

// How many indeterminate operations of each class were used: binary trees over the classes, equal
// trees shared (hash consing), so that a tree is a number, and one more use costs O(log classes).
// The number 0 is the tree without any use; the children of the lowest nodes are counts.
class Counts {
 public:
  Counts(Meter& meter, i32 classes) : nodes_(meter), index_(meter) {
    while ((i64{1} << depth_) < classes) ++depth_;
    nodes_.push({0, 0});
  }
  i32 of(i32 tree, i32 which) const {
    for (int level = depth_ - 1; level >= 0; --level) {
      tree = (which >> level) & 1 ? nodes_[tree].right : nodes_[tree].left;
    }
    return tree;
  }
  i32 plus_one(i32 tree, i32 which) { return plus_one(tree, which, depth_); }
  // Whether a used no more than b of any class.
  bool at_most(i32 a, i32 b) const { return at_most(a, b, depth_); }

 private:
  struct Node {
    i32 left, right;
  };
  i32 plus_one(i32 tree, i32 which, int level) {
    if (level == 0) return tree + 1;
    const Node node = nodes_[tree];
    if ((which >> (level - 1)) & 1) return number(node.left, plus_one(node.right, which, level - 1));
    return number(plus_one(node.left, which, level - 1), node.right);
  }
  bool at_most(i32 a, i32 b, int level) const {
    if (a == b || a == 0) return true;
    if (level == 0) return a <= b;
    if (b == 0) return false;
    return at_most(nodes_[a].left, nodes_[b].left, level - 1) &&
           at_most(nodes_[a].right, nodes_[b].right, level - 1);
  }
  static u64 hash(Node node) {
    return mixed((static_cast<u64>(static_cast<u32>(node.left)) << 32) |
                 static_cast<u32>(node.right));
  }
  i32 number(i32 left, i32 right) {
    const Node node{left, right};
    const i64 known = index_.find(hash(node), [&](u32 i) {
      return nodes_[i].left == left && nodes_[i].right == right;
    });
    if (known >= 0) return static_cast<i32>(known);
    if (nodes_.size() >= INT32_MAX) throw MemorySpent{};
    index_.reserve([&](u32 i) { return hash(nodes_[i]); });
    nodes_.push(node);
    index_.insert(hash(node), static_cast<u32>(nodes_.size() - 1));
    return static_cast<i32>(nodes_.size() - 1);
  }

  Array<Node> nodes_;
  Index index_;
  int depth_ = 0;
};

constexpr i32 ILLEGAL = -1;  // the operation cannot happen in that state
constexpr i32 MISSING = -2;  // nobody asked the model yet

// What the operations of a class do to a register, whose states are codes of values.
struct Rule {
  enum Kind : i32 { READ, WRITE, CAS, MISMATCH };
  i32 kind, expected, written;

  i32 next(i32 state) const {
    switch (kind) {
      case READ: return state == expected ? state : ILLEGAL;
      case WRITE: return written;
      case CAS: return state == expected ? written : ILLEGAL;
      default: return state != expected ? state : ILLEGAL;
    }
  }
};

// (state, class) -> state: by rules, or as far as the model was asked. The state after a blind
// class is the same whatever the state before, and so asked for once.
class Transitions {
 public:
  struct Pair {
    i32 state, kind;
  };

  // No rules: the model is asked. Else one for each class, and so many states.
  Transitions(Meter& meter, const std::vector<unsigned char>& blind, std::vector<Rule> rules,
              i32 states)
      : meter_(&meter),
        blind_(blind),
        rules_(std::move(rules)),
        after_blind_(blind.size(), MISSING),
        table_(meter),
        states_(states) {
    table_.resize(64, Entry{FREE, MISSING});
  }
  i32 states() const { return states_; }

  i32 find(i32 state, i32 kind) const {
    if (!rules_.empty()) return rules_[kind].next(state);
    if (blind_[kind]) return after_blind_[kind];
    return table_[place(key(state, kind))].next;
  }
  // As find(), but a missing one goes on the list of what the model is to be asked.
  i32 find_or_ask(i32 state, i32 kind) {
    const i32 next = find(state, kind);
    if (next != MISSING) return next;
    if (blind_[kind]) {
      if (!asked_blind(kind)) asked_.push_back({state, kind});
      return MISSING;
    }
    if ((count_ + 1) * 2 > table_.size()) grow();
    Entry& entry = table_[place(key(state, kind))];
    if (entry.key == FREE) {
      asked_.push_back({state, kind});
      entry.key = key(state, kind);
      ++count_;
    }
    return MISSING;
  }
  const std::vector<Pair>& asked() const { return asked_; }

  // The answers to asked(), in its order: ILLEGAL or a state. States are numbered as they come up.
  // False, and nothing changed, if they are not that.
  bool answer(const i32* next, std::size_t count) {
    if (count != asked_.size()) return false;
    i64 states = states_;
    for (std::size_t i = 0; i < count; ++i) {
      if (next[i] < ILLEGAL || next[i] > states || next[i] == INT32_MAX) return false;
      if (blind_[asked_[i].kind] && next[i] == ILLEGAL) return false;
      if (next[i] == states) ++states;
    }
    for (std::size_t i = 0; i < count; ++i) {
      const Pair pair = asked_[i];
      if (blind_[pair.kind]) {
        after_blind_[pair.kind] = next[i];
      } else {
        table_[place(key(pair.state, pair.kind))].next = next[i];
      }
    }
    states_ = static_cast<i32>(states);
    asked_.clear();
    return true;
  }

 private:
  static constexpr u64 FREE = ~u64{0};
  struct Entry {
    u64 key;
    i32 next;
  };
  static u64 key(i32 state, i32 kind) {
    return (static_cast<u64>(static_cast<u32>(state)) << 32) | static_cast<u32>(kind);
  }
  bool asked_blind(i32 kind) const {
    for (const Pair& pair : asked_) {
      if (pair.kind == kind) return true;
    }
    return false;
  }
  std::size_t place(u64 key) const {
    const std::size_t last = table_.size() - 1;
    std::size_t i = mixed(key) & last;
    while (table_[i].key != FREE && table_[i].key != key) i = (i + 1) & last;
    return i;
  }
  void grow() {
    Array<Entry> grown(*meter_);
    grown.resize(table_.size() * 2, Entry{FREE, MISSING});
    table_.swap(grown);
    for (const Entry& entry : grown) {
      if (entry.key != FREE) table_[place(entry.key)] = entry;
    }
  }

  Meter* meter_;
  const std::vector<unsigned char>& blind_;
  const std::vector<Rule> rules_;
  std::vector<i32> after_blind_;
  Array<Entry> table_;
  std::size_t count_ = 0;
  i32 states_;
  std::vector<Pair> asked_;
};

}  // namespace search
