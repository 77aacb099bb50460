// The shortest cycle of a kind in each component, breadth first over states that are visited once.
#pragma once
#include <algorithm>

#include "graph_edges.hpp"

namespace graph {

// A kind of cycle: the kinds of its first edge, of those after it, and of its last one; and those
// of which no two may follow each other, but two or more must be there (0: none).
struct Shape {
  u8 first, walk, last, apart;
};

class CycleSearch {
 public:
  // component[vertex] in [-1, vertices): edges between two components are not followed.
  // longest: how many transactions a cycle may have.
  CycleSearch(const Edges& edges, const i32* component, Shape shape, i32 longest)
      : edges_(edges),
        component_(component),
        shape_(shape),
        longest_(longest),
        width_(shape.apart != 0 ? 4 : 1),
        place_(static_cast<std::size_t>(edges.vertices), UNTRIED),
        used_(static_cast<std::size_t>(edges.vertices), false),
        reached_(static_cast<std::size_t>(edges.vertices) * width_) {
    if (shape.apart != 0) seen_.assign(static_cast<std::size_t>(edges.vertices), -1);
  }

  // From the first start in each component, then from the others as long as there are looks (at
  // edges) left, for what is shorter. Whether all were tried. Then as many looks for other cycles,
  // none of a transaction that is on one already, up to twice as long as the shortest.
  bool run(const i32* starts, std::size_t count, i64 looks) {
    std::vector<i32> later;
    for (std::size_t i = 0; i < count; ++i) {
      i32& place = place_[component_[starts[i]]];
      if (place != UNTRIED) {
        later.push_back(starts[i]);
      } else {
        place = NOTHING;
        shorten(starts[i]);
      }
    }
    looks_ = 0;
    std::size_t tried = 0;
    for (; tried < later.size() && looks_ < looks; ++tried) shorten(later[tried]);
    for (const auto& cycle : best) use(cycle);
    looks_ = 0;
    for (std::size_t i = 0; i < count && looks_ < looks; ++i) add(starts[i]);
    return tried == later.size();
  }

  std::vector<std::vector<u32>> best;   // slots of edges
  std::vector<std::vector<u32>> others;

 private:
  static constexpr i32 UNTRIED = -2, NOTHING = -1;

  struct Reached {
    i32 stamp = 0;
    i32 before = -1;  // state
    u32 slot = 0;     // of the edge from there
  };

  void shorten(i32 start) {
    const i32 one = component_[start];
    i32& place = place_[one];
    const i32 bound = place < 0 ? longest_ : lengths_[place] - 1;
    if (!search(start, one, bound)) return;
    if (place < 0) {
      place = static_cast<i32>(best.size());
      best.emplace_back();
      lengths_.push_back(0);
    }
    best[place] = path_;
    lengths_[place] = length();
  }
  void add(i32 start) {
    const i32 one = component_[start];
    const i32 place = place_[one];
    if (place < 0 || used_[start]) return;
    if (!search(start, one, std::min(longest_, 2 * lengths_[place]))) return;
    others.push_back(path_);
    use(path_);
  }
  void use(const std::vector<u32>& cycle) {
    for (const u32 slot : cycle) {
      const i32 vertex = edges_.target[slot];
      used_[vertex] = vertex < edges_.transactions;
    }
  }
  i32 length() const {
    i32 count = 0;
    for (const u32 slot : path_) count += edges_.target[slot] < edges_.transactions;
    return count;
  }
  // Whether the path is now a cycle from start (or a part of one) of at most so many transactions.
  bool search(i32 start, i32 one, i32 bound) {
    return walk(start, one, bound) && (shape_.apart == 0 || make_simple());
  }

  // Whether there is a closed walk from start of at most bound transactions; then it is the path.
  // A state is a vertex and, where edges must be apart, twice whether there were two of them, and
  // once whether the last edge was one.
  bool walk(i32 start, i32 one, i32 bound) {
    ++stamp_;
    now_.assign(1, start * width_);
    for (i32 depth = 1; !now_.empty() && depth <= bound; ++depth) {
      const bool opening = depth == 1;
      const u8 allowed = opening ? shape_.first : shape_.walk;
      next_.clear();
      for (std::size_t i = 0; i < now_.size(); ++i) {  // grows meanwhile
        const i32 state = now_[i], vertex = state / width_, flags = state % width_;
        const u32 end = edges_.first[vertex + 1];
        for (u32 slot = edges_.first[vertex]; slot < end; ++slot) {
          ++looks_;
          const u8 kind = edges_.kind[slot];
          const i32 after = edges_.target[slot];
          if ((kind & allowed) == 0 || component_[after] != one || used_[after]) continue;
          const bool separate = (kind & shape_.apart) != 0;
          if (separate && (flags & 1) != 0) continue;
          const i32 flags_after = !separate ? flags & 2 : opening ? 1 : 3;
          if (after == start) {
            if ((kind & shape_.last) != 0 && (shape_.apart == 0 || flags_after == 2)) {
              trace(state, slot, start);
              return true;
            }
            if (!separate) continue;
          }
          const i32 state_after = after * width_ + flags_after;
          Reached& there = reached_[state_after];
          if (there.stamp == stamp_) continue;
          there = Reached{stamp_, state, slot};
          (after >= edges_.transactions ? now_ : next_).push_back(state_after);
        }
      }
      now_.swap(next_);
    }
    return false;
  }
  void trace(i32 state, u32 slot, i32 start) {
    path_.assign(1, slot);
    while (state != start * width_) {
      path_.push_back(reached_[state].slot);
      state = reached_[state].before;
    }
    std::reverse(path_.begin(), path_.end());
  }

  // Leaves out what the path visits between two visits of a vertex, or all but that: each part
  // begins and ends at that vertex. Whether two edges that are apart are left.
  bool make_simple() {
    for (;;) {
      std::size_t from = 0, to = 0;
      for (std::size_t i = 0; i < path_.size(); ++i) {
        i32& seen = seen_[edges_.target[path_[i]]];
        if (seen >= 0) {
          from = static_cast<std::size_t>(seen) + 1;
          to = i + 1;
          break;
        }
        seen = static_cast<i32>(i);
      }
      for (const u32 slot : path_) seen_[edges_.target[slot]] = -1;
      if (to == 0) return separate_edges(path_) >= 2;
      const auto begin = path_.begin();
      std::vector<u32> inner(begin + static_cast<i64>(from), begin + static_cast<i64>(to));
      path_.erase(begin + static_cast<i64>(from), begin + static_cast<i64>(to));
      std::rotate(path_.begin(), path_.begin() + static_cast<i64>(from), path_.end());
      if (!worse(inner, path_)) path_.swap(inner);
    }
  }
  bool worse(const std::vector<u32>& one, const std::vector<u32>& other) const {
    const bool closes = closes_apart(one), closes_other = closes_apart(other);
    if (closes != closes_other) return closes_other;
    const bool many = separate_edges(one) >= 2, many_other = separate_edges(other) >= 2;
    if (many != many_other) return many_other;
    return one.size() > other.size();
  }
  bool separate(u32 slot) const { return (edges_.kind[slot] & shape_.apart) != 0; }
  bool closes_apart(const std::vector<u32>& path) const {
    return !(separate(path.front()) && separate(path.back()));
  }
  std::size_t separate_edges(const std::vector<u32>& path) const {
    std::size_t count = 0;
    for (const u32 slot : path) count += separate(slot);
    return count;
  }

  const Edges& edges_;
  const i32* component_;
  const Shape shape_;
  const i32 longest_;
  const i32 width_;
  std::vector<i32> place_;    // of each component, in best
  std::vector<i32> lengths_;  // of each of best
  std::vector<char> used_;    // vertices that others may not visit
  std::vector<Reached> reached_;
  std::vector<i32> now_, next_;  // states at one depth
  std::vector<u32> path_;
  std::vector<i32> seen_;  // of each vertex: the last edge on the path that leads to it
  i32 stamp_ = 0;
  i64 looks_ = 0;
};

}  // namespace graph
