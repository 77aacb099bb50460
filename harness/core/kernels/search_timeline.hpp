// The operations of one object in time: its returns in order, and what is open at each of them.
#pragma once
#include <algorithm>
#include <numeric>

#include "search_tables.hpp"

namespace search {

constexpr i64 NEVER = i64{1} << 62;  // the return of an indeterminate operation

// Classes of operations: pure ones leave every state as it is, blind ones are legal in every state
// and lead to the same one.
constexpr unsigned char PURE = 1, BLIND = 2;

// A *place* is the number of returns passed. At a place all operations are open that were called
// before its return (or at the same time) and do not return before it. Each open operation has a
// slot of its own. Indeterminate operations have none: they are a *supply* of their class, numbered
// by their first call; pure ones are left out, for they may just as well not have happened.
struct Timeline {
  Timeline(const i64* call, const i64* ret, const i64* kinds, const unsigned char* flags, i32 count,
           i32 classes)
      : kind(kinds, kinds + count),
        pure(classes),
        blind(classes),
        slot(count, -1),
        rank(count, -1),
        supply_of(classes, -1) {
    for (i32 c = 0; c < classes; ++c) {
      pure[c] = (flags[c] & PURE) != 0;
      blind[c] = (flags[c] & BLIND) != 0 && !pure[c];
    }
    std::vector<i32> calls;
    for (i32 i = 0; i < count; ++i) {
      if (ret[i] < NEVER) returns.push_back(i);
      if (ret[i] < NEVER || !pure[kind[i]]) calls.push_back(i);
    }
    std::stable_sort(calls.begin(), calls.end(), [&](i32 a, i32 b) { return call[a] < call[b]; });
    std::stable_sort(returns.begin(), returns.end(), [&](i32 a, i32 b) { return ret[a] < ret[b]; });
    for (std::size_t place = 0; place < returns.size(); ++place) {
      rank[returns[place]] = static_cast<i32>(place);
    }
    std::vector<i32> free;
    std::size_t next = 0;
    for (i32 returning : returns) {
      for (; next < calls.size() && call[calls[next]] <= ret[returning]; ++next) {
        const i32 i = calls[next];
        if (ret[i] < NEVER) {
          arrivals.push_back(i);
          if (free.empty()) free.push_back(slots++);
          slot[i] = free.back();
          free.pop_back();
          continue;
        }
        if (supply_of[kind[i]] < 0) {
          supply_of[kind[i]] = static_cast<i32>(supplies.size());
          supplies.push_back(kind[i]);
        }
        invoked.push_back(supply_of[kind[i]]);
      }
      arrived.push_back(static_cast<i32>(arrivals.size()));
      supplied.push_back(static_cast<i32>(invoked.size()));
      free.push_back(slot[returning]);
    }
  }
  i32 goal() const { return static_cast<i32>(returns.size()); }

  std::vector<i32> kind;              // [operations]: class
  std::vector<unsigned char> pure;    // [classes]
  std::vector<unsigned char> blind;   // [classes]
  std::vector<i32> slot;              // [operations]; -1: none
  std::vector<i32> rank;              // [operations]: the place of its return; -1: indeterminate
  std::vector<i32> supply_of;         // [classes]; -1: none
  std::vector<i32> returns;           // [places]: the operation that returns there
  std::vector<i32> arrivals;          // operations with a slot, by call
  std::vector<i32> arrived;           // [places]: how many of arrivals were called by then
  std::vector<i32> invoked;           // supplies, by call
  std::vector<i32> supplied;          // [places]: how many of invoked were called by then
  std::vector<i32> supplies;          // class of each supply
  i32 slots = 0;
};

// A set of slots.
template <int W>
struct Mask {
  u64 word[W];

  static Mask none() { return Mask{}; }
  bool has(i32 slot) const { return word[slot >> 6] >> (slot & 63) & 1; }
  void set(i32 slot) { word[slot >> 6] |= u64{1} << (slot & 63); }
  void clear(i32 slot) { word[slot >> 6] &= ~(u64{1} << (slot & 63)); }
  bool any() const {
    u64 all = 0;
    for (int i = 0; i < W; ++i) all |= word[i];
    return all != 0;
  }
  Mask operator|(const Mask& o) const {
    Mask m;
    for (int i = 0; i < W; ++i) m.word[i] = word[i] | o.word[i];
    return m;
  }
  Mask operator&(const Mask& o) const {
    Mask m;
    for (int i = 0; i < W; ++i) m.word[i] = word[i] & o.word[i];
    return m;
  }
  Mask operator^(const Mask& o) const {
    Mask m;
    for (int i = 0; i < W; ++i) m.word[i] = word[i] ^ o.word[i];
    return m;
  }
  Mask minus(const Mask& o) const {
    Mask m;
    for (int i = 0; i < W; ++i) m.word[i] = word[i] & ~o.word[i];
    return m;
  }
  bool operator==(const Mask& o) const { return !(*this ^ o).any(); }
};

// What is open at one place; moves from place to place in both directions.
template <int W>
class Cursor {
 public:
  explicit Cursor(const Timeline& timeline)
      : timeline_(timeline),
        at(timeline.slots, -1),
        earlier(timeline.slots),
        available(timeline.supplies.size(), 0),
        last_(timeline.pure.size(), -1) {}

  void move(i32 to) {
    if (to == place) return;
    while (place < to) forward();
    while (place > to) backward();
    masks();
  }

  i32 place = -1;

 private:
  const Timeline& timeline_;

 public:
  std::vector<i32> at;               // [slots]: the operation there; -1: none
  std::vector<i32> order;            // slots of the open operations, earliest return first
  std::vector<Mask<W>> earlier;      // [slots]: open ones of equal class that return earlier
  std::vector<i32> available;        // [supplies]: calls so far
  i32 known = 0;                     // supplies with any
  Mask<W> pure = Mask<W>::none();      // open pure operations
  Mask<W> blind = Mask<W>::none();     // open blind operations
  Mask<W> supplied = Mask<W>::none();  // open operations of a class that is in supply

 private:
  i32 first_arrival(i32 p) const { return p == 0 ? 0 : timeline_.arrived[p - 1]; }
  i32 first_supplied(i32 p) const { return p == 0 ? 0 : timeline_.supplied[p - 1]; }

  void forward() {
    if (place >= 0) {
      at[order.front()] = -1;
      order.erase(order.begin());
    }
    ++place;
    for (i32 i = first_arrival(place); i < timeline_.arrived[place]; ++i) {
      const i32 one = timeline_.arrivals[i];
      at[timeline_.slot[one]] = one;
      const auto later = [&](i32 slot) { return timeline_.rank[at[slot]] > timeline_.rank[one]; };
      auto where = order.end();
      while (where != order.begin() && later(*(where - 1))) --where;
      order.insert(where, timeline_.slot[one]);
    }
    for (i32 i = first_supplied(place); i < timeline_.supplied[place]; ++i) {
      if (available[timeline_.invoked[i]]++ == 0) ++known;
    }
  }
  void backward() {
    for (i32 i = first_supplied(place); i < timeline_.supplied[place]; ++i) {
      if (--available[timeline_.invoked[i]] == 0) --known;
    }
    for (i32 i = first_arrival(place); i < timeline_.arrived[place]; ++i) {
      const i32 slot = timeline_.slot[timeline_.arrivals[i]];
      order.erase(std::find(order.begin(), order.end(), slot));
      at[slot] = -1;
    }
    --place;
    if (place >= 0) {
      const i32 one = timeline_.returns[place];
      at[timeline_.slot[one]] = one;
      order.insert(order.begin(), timeline_.slot[one]);
    }
  }
  void masks() {
    pure = blind = supplied = Mask<W>::none();
    for (i32 slot : order) {
      const i32 kind = timeline_.kind[at[slot]];
      const i32 supply = timeline_.supply_of[kind];
      if (supply >= 0 && supply < known) supplied.set(slot);
      if (timeline_.pure[kind]) pure.set(slot);
      if (timeline_.blind[kind]) blind.set(slot);
      const i32 before = last_[kind];
      earlier[slot] = before < 0 ? Mask<W>::none() : earlier[before];
      if (before >= 0) earlier[slot].set(before);
      last_[kind] = slot;
    }
    for (i32 slot : order) last_[timeline_.kind[at[slot]]] = -1;
  }

  std::vector<i32> last_;  // [classes]: scratch
};

}  // namespace search
