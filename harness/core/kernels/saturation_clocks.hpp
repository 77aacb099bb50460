// Saturation of a polygraph over vector clocks. What the rules are, and why, is said in
// checkers/transactions/saturation_clocks.py; its twin, saturation_clocks_twin.py, is the same code.
#pragma once
#include <algorithm>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace saturation {

using i32 = std::int32_t;
using i64 = std::int64_t;

constexpr i32 NEVER = INT_MAX;
constexpr std::ptrdiff_t FEW = 8;  // are looked through one by one
constexpr std::size_t TABLE_MAX = std::size_t{1} << 24;

enum class Status : int { COMPLETE = 0, CYCLIC = 1, INCOMPLETE = 2 };

// The arguments, as columns. Events are vertices 0 .. events - 1; the others are auxiliary.
struct Input {
  i32 vertices, events, chains;
  bool snapshot;
  const i32 *source, *target;  // edges
  std::size_t edges;
  const i32 *chain, *place;  // of each event
  const i32 *reader, *writer, *key;  // reads, of transactions
  std::size_t reads;
  const i32 *author, *written;  // writes: transaction and key
  std::size_t writes;
  i32 keys;
};

struct Forced {
  i32 source, target, overwrites, reader, writer, other;
};

class Saturation {
 public:
  explicit Saturation(const Input& input) : in(input) {}

  Status run(int rounds_max, std::size_t forced_max);
  // Pairs of transactions that may come in either order; false if there are more than most.
  bool possible(std::size_t most, std::vector<i32>& pairs) const;

  std::vector<Forced> forced;

 private:
  struct Slot {  // a commit of a key, in the order of (chain, place)
    i32 chain, place, author;
  };

  const Input& in;
  std::vector<i32> head, next, to;  // edges, of each source in a list
  std::vector<i32> head_in, next_in, from;  // and of each target
  std::vector<i32> missing, order, position;
  bool sorted = false;  // whether the order agrees with all edges
  std::vector<i32> before, after;  // clocks: a row a vertex
  std::vector<unsigned char> dirty, grown, shrunk;
  std::vector<Slot> slots;
  std::vector<std::size_t> first;  // of each key
  std::vector<i32> begins;         // of each key and chain, within the key; empty if too many

  i32 start(i32 one) const { return in.snapshot ? 2 * one : one; }
  i32 commit(i32 one) const { return in.snapshot ? 2 * one + 1 : one; }
  i32* row(std::vector<i32>& clocks, i32 vertex) {
    return clocks.data() + static_cast<std::size_t>(vertex) * static_cast<std::size_t>(in.chains);
  }
  const i32* row(const std::vector<i32>& clocks, i32 vertex) const {
    return clocks.data() + static_cast<std::size_t>(vertex) * static_cast<std::size_t>(in.chains);
  }
  // Whether event a is known to precede event b, or is it.
  bool precedes(i32 a, i32 b) const { return row(before, b)[in.chain[a]] >= in.place[a]; }

  void begin();
  void index();
  std::pair<const Slot*, const Slot*> range(i32 key, i32 chain) const;
  void link(i32 a, i32 b);
  bool sort();
  void forward();
  void backward();
  void force(const Forced& edge);
  void read(std::size_t number);
  void conflict(std::size_t number);
  const Slot* last(i32 key, i32 chain, i32 place) const;
  const Slot* earliest(i32 key, i32 chain, i32 place) const;
};

inline void Saturation::begin() {
  const std::size_t n = static_cast<std::size_t>(in.vertices);
  head.assign(n, -1);
  head_in.assign(n, -1);
  next_in.reserve(in.edges);
  from.reserve(in.edges);
  next.reserve(in.edges);
  to.reserve(in.edges);
  missing.assign(n, 0);
  for (std::size_t i = 0; i < in.edges; ++i) link(in.source[i], in.target[i]);
  before.assign(n * static_cast<std::size_t>(in.chains), -1);
  after.assign(n * static_cast<std::size_t>(in.chains), NEVER);
  for (i32 event = 0; event < in.events; ++event) {
    row(before, event)[in.chain[event]] = in.place[event];
    row(after, event)[in.chain[event]] = in.place[event];
  }
  dirty.assign(n, 1);
  grown.assign(n, 1);
  shrunk.assign(n, 1);
  first.assign(static_cast<std::size_t>(in.keys) + 1, 0);
  for (std::size_t i = 0; i < in.writes; ++i) ++first[static_cast<std::size_t>(in.written[i]) + 1];
  for (std::size_t key = 0; key < static_cast<std::size_t>(in.keys); ++key) {
    first[key + 1] += first[key];
  }
  slots.resize(in.writes);
  std::vector<std::size_t> at(first.begin(), first.end() - 1);
  for (std::size_t i = 0; i < in.writes; ++i) {
    const i32 event = commit(in.author[i]);
    slots[at[static_cast<std::size_t>(in.written[i])]++] = {in.chain[event], in.place[event],
                                                            in.author[i]};
  }
  for (std::size_t key = 0; key < static_cast<std::size_t>(in.keys); ++key) {
    std::sort(slots.begin() + static_cast<std::ptrdiff_t>(first[key]),
              slots.begin() + static_cast<std::ptrdiff_t>(first[key + 1]),
              [](const Slot& a, const Slot& b) {
                return a.chain != b.chain ? a.chain < b.chain : a.place < b.place;
              });
  }
  index();
}

// Where the commits of each chain begin, if that table is not too large.
inline void Saturation::index() {
  const std::size_t keys = static_cast<std::size_t>(in.keys);
  const std::size_t width = static_cast<std::size_t>(in.chains) + 1;
  if (keys * width > TABLE_MAX) return;
  begins.assign(keys * width, 0);
  for (std::size_t key = 0; key < keys; ++key) {
    i32* counts = begins.data() + key * width;
    for (std::size_t at = first[key]; at < first[key + 1]; ++at) ++counts[slots[at].chain + 1];
    for (std::size_t chain = 1; chain < width; ++chain) counts[chain] += counts[chain - 1];
  }
}

// The commits of a key on a chain; of the whole key where there is no table.
inline std::pair<const Saturation::Slot*, const Saturation::Slot*> Saturation::range(
    i32 key, i32 chain) const {
  const std::size_t at = static_cast<std::size_t>(key);
  const Slot* base = slots.data() + first[at];
  if (begins.empty()) return {base, slots.data() + first[at + 1]};
  const i32* counts = begins.data() + at * (static_cast<std::size_t>(in.chains) + 1) + chain;
  return {base + counts[0], base + counts[1]};
}

inline void Saturation::link(i32 a, i32 b) {
  next.push_back(head[static_cast<std::size_t>(a)]);
  to.push_back(b);
  head[static_cast<std::size_t>(a)] = static_cast<i32>(to.size()) - 1;
  next_in.push_back(head_in[static_cast<std::size_t>(b)]);
  from.push_back(a);
  head_in[static_cast<std::size_t>(b)] = static_cast<i32>(from.size()) - 1;
  if (sorted && position[static_cast<std::size_t>(a)] >= position[static_cast<std::size_t>(b)]) {
    sorted = false;
  }
  ++missing[static_cast<std::size_t>(b)];
}

// A topological order; false if there is a cycle.
inline bool Saturation::sort() {
  if (sorted) return true;
  std::vector<i32> left(missing);
  order.clear();
  order.reserve(left.size());
  for (i32 v = 0; v < in.vertices; ++v) {
    if (left[static_cast<std::size_t>(v)] == 0) order.push_back(v);
  }
  for (std::size_t at = 0; at < order.size(); ++at) {
    for (i32 e = head[static_cast<std::size_t>(order[at])]; e >= 0;
         e = next[static_cast<std::size_t>(e)]) {
      const i32 target = to[static_cast<std::size_t>(e)];
      if (--left[static_cast<std::size_t>(target)] == 0) order.push_back(target);
    }
  }
  if (order.size() != left.size()) return false;
  position.resize(order.size());
  for (std::size_t at = 0; at < order.size(); ++at) {
    position[static_cast<std::size_t>(order[at])] = static_cast<i32>(at);
  }
  sorted = true;
  return true;
}

// What precedes each vertex, from those whose clock changed or that have a new edge.
inline void Saturation::forward() {
  std::vector<unsigned char> moved(dirty);
  for (const i32 v : order) {
    if (!moved[static_cast<std::size_t>(v)]) continue;
    const i32* mine = row(before, v);
    for (i32 e = head[static_cast<std::size_t>(v)]; e >= 0; e = next[static_cast<std::size_t>(e)]) {
      const i32 target = to[static_cast<std::size_t>(e)];
      i32* theirs = row(before, target);
      // Without branches, so that the compiler takes several at a time.
      i32 more = 0;
      for (i32 c = 0; c < in.chains; ++c) {
        const i32 a = mine[c], b = theirs[c];
        more |= a > b;
        theirs[c] = a > b ? a : b;
      }
      if (more != 0) moved[static_cast<std::size_t>(target)] = grown[static_cast<std::size_t>(target)] = 1;
    }
  }
}

// What each vertex precedes, from those that have a new edge or precede one whose clock changed.
inline void Saturation::backward() {
  std::vector<unsigned char> moved(dirty);
  for (std::size_t at = order.size(); at-- > 0;) {
    const std::size_t v = static_cast<std::size_t>(order[at]);
    if (!moved[v]) continue;
    i32* mine = row(after, order[at]);
    i32 fewer = 0;
    for (i32 e = head[v]; e >= 0; e = next[static_cast<std::size_t>(e)]) {
      const i32* theirs = row(after, to[static_cast<std::size_t>(e)]);
      for (i32 c = 0; c < in.chains; ++c) {
        const i32 a = theirs[c], b = mine[c];
        fewer |= a < b;
        mine[c] = a < b ? a : b;
      }
    }
    if (fewer == 0) continue;
    shrunk[v] = 1;
    for (i32 e = head_in[v]; e >= 0; e = next_in[static_cast<std::size_t>(e)]) {
      moved[static_cast<std::size_t>(from[static_cast<std::size_t>(e)])] = 1;
    }
  }
}

inline const Saturation::Slot* Saturation::last(i32 key, i32 chain, i32 place) const {
  const auto [low, high] = range(key, chain);
  if (low == high) return nullptr;
  if (!begins.empty() && high - low <= FEW) {
    const Slot* one = high;
    while (one != low && (one - 1)->place > place) --one;
    return one == low ? nullptr : one - 1;
  }
  const Slot* at = std::upper_bound(low, high, place, [chain](i32 limit, const Slot& slot) {
    return slot.chain != chain ? slot.chain > chain : slot.place > limit;
  });
  return at != low && (at - 1)->chain == chain ? at - 1 : nullptr;
}

inline const Saturation::Slot* Saturation::earliest(i32 key, i32 chain, i32 place) const {
  const auto [low, high] = range(key, chain);
  if (low == high) return nullptr;
  if (!begins.empty() && high - low <= FEW) {
    const Slot* one = low;
    while (one != high && one->place < place) ++one;
    return one == high ? nullptr : one;
  }
  const Slot* at = std::lower_bound(low, high, place, [chain](const Slot& slot, i32 limit) {
    return slot.chain != chain ? slot.chain < chain : slot.place < limit;
  });
  return at != high && at->chain == chain ? at : nullptr;
}

inline void Saturation::force(const Forced& edge) {
  forced.push_back(edge);
  link(edge.source, edge.target);
  dirty[static_cast<std::size_t>(edge.source)] = 1;
}

inline void Saturation::read(std::size_t number) {
  const i32 reader = in.reader[number], writer = in.writer[number], key = in.key[number];
  const i32 rs = start(reader), rc = commit(reader), ws = start(writer), wc = commit(writer);
  for (i32 chain = 0; chain < in.chains; ++chain) {
    i32 limit = row(before, rs)[chain];
    if (chain == in.chain[rc]) limit = std::min(limit, in.place[rc] - 1);
    if (limit >= 0) {
      const Slot* found = last(key, chain, limit);
      if (found != nullptr && found->author != writer) {
        const i32 other = found->author;
        if (!precedes(commit(other), ws)) force({commit(other), ws, 0, reader, writer, other});
      }
    }
    limit = row(after, ws)[chain];
    if (chain == in.chain[wc]) limit = std::max(limit, in.place[wc] + 1);
    if (limit != NEVER) {
      const Slot* found = earliest(key, chain, limit);
      if (found != nullptr && found->author != reader) {
        const i32 other = found->author;
        if (!precedes(rs, commit(other))) force({rs, commit(other), 1, reader, writer, other});
      }
    }
  }
}

// Of two that write a key, the one whose start precedes the other's commit commits first.
inline void Saturation::conflict(std::size_t number) {
  const i32 author = in.author[number], key = in.written[number];
  for (i32 chain = 0; chain < in.chains; ++chain) {
    i32 limit = row(after, start(author))[chain];
    if (chain == in.chain[commit(author)]) limit = std::max(limit, in.place[commit(author)] + 1);
    if (limit == NEVER) continue;
    const Slot* found = earliest(key, chain, limit);
    if (found != nullptr && !precedes(commit(author), start(found->author))) {
      force({commit(author), start(found->author), 0, -1, found->author, author});
    }
  }
}

inline Status Saturation::run(int rounds_max, std::size_t forced_max) {
  begin();
  for (int round = 0;; ++round) {
    if (!sort()) return Status::CYCLIC;
    forward();
    backward();
    std::fill(dirty.begin(), dirty.end(), 0);
    if (round >= rounds_max || forced.size() > forced_max) return Status::INCOMPLETE;
    const std::size_t known = forced.size();
    for (std::size_t i = 0; i < in.reads; ++i) {
      if (grown[static_cast<std::size_t>(start(in.reader[i]))] ||
          shrunk[static_cast<std::size_t>(start(in.writer[i]))]) {
        read(i);
      }
    }
    if (in.snapshot) {
      for (std::size_t i = 0; i < in.writes; ++i) {
        if (shrunk[static_cast<std::size_t>(start(in.author[i]))]) conflict(i);
      }
    }
    if (forced.size() == known) return Status::COMPLETE;
    std::fill(grown.begin(), grown.end(), 0);
    std::fill(shrunk.begin(), shrunk.end(), 0);
  }
}

inline bool Saturation::possible(std::size_t most, std::vector<i32>& pairs) const {
  const auto add = [&](i32 a, i32 b) {
    pairs.push_back(a);
    pairs.push_back(b);
  };
  for (std::size_t i = 0; i < in.reads; ++i) {
    const i32 reader = in.reader[i], writer = in.writer[i], key = in.key[i];
    for (i32 chain = 0; chain < in.chains; ++chain) {
      // Neither known to precede the writer, nor to follow the reader.
      const Slot* slot = earliest(key, chain, row(before, start(writer))[chain] + 1);
      const Slot* end = slots.data() + first[static_cast<std::size_t>(key) + 1];
      const i32 limit = row(after, start(reader))[chain];
      for (; slot != nullptr && slot != end && slot->chain == chain && slot->place < limit; ++slot) {
        if (slot->author == reader || slot->author == writer) continue;
        add(slot->author, writer);
        add(writer, slot->author);
        add(reader, slot->author);
        if (pairs.size() > 2 * most) return false;
      }
    }
  }
  for (std::size_t i = 0; in.snapshot && i < in.writes; ++i) {
    const i32 author = in.author[i], key = in.written[i];
    for (i32 chain = 0; chain < in.chains; ++chain) {
      const Slot* slot = earliest(key, chain, row(before, start(author))[chain] + 1);
      const Slot* end = slots.data() + first[static_cast<std::size_t>(key) + 1];
      const i32 limit = row(after, commit(author))[chain];
      for (; slot != nullptr && slot != end && slot->chain == chain && slot->place <= limit; ++slot) {
        if (slot->author == author || precedes(commit(author), start(slot->author))) continue;
        add(slot->author, author);
        add(author, slot->author);
        if (pairs.size() > 2 * most) return false;
      }
    }
  }
  return true;
}

}  // namespace saturation
