// Strongly connected components, and which vertices reach which others.
#pragma once
#include <algorithm>

#include "graph_edges.hpp"

namespace graph {

// The components of a graph, or of its product with "the last edge was one of those apart"; such an
// edge leads only from states in which it was not. State 2v + 1 is vertex v in which it was.
//
// D. J. Pearce, A Space-Efficient Algorithm for Finding Strongly Connected Components, Information
// Processing Letters 116 (2016), without recursion. found[state] is 0 (not visited), then the
// lowest number that it can reach, then the number of its component, counted down from the number
// of states. A component is numbered after those that it leads to. Returns how many there are.
// Beginning with the last vertex keeps the depth small where edges lead from older to younger ones,
// and the order of the components close to that of the vertices.
template <bool PRODUCT>
i32 strong_components(const Edges& edges, u8 mask, u8 apart, std::vector<i32>& found) {
  struct Call {
    i32 state;
    u32 slot;
    i32 own;
  };
  constexpr int DOUBLED = PRODUCT ? 1 : 0;
  const i32 states = edges.vertices << DOUBLED;
  found.assign(static_cast<std::size_t>(states), 0);
  std::vector<Call> calls;
  std::vector<i32> waiting;
  i32 number = 1, component = states;
  for (i32 root = states - 1; root >= 0; --root) {
    if (found[root] != 0) continue;
    Call at{root, edges.first[root >> DOUBLED], number};
    found[root] = number++;
    for (;;) {
      const u32 end = edges.first[(at.state >> DOUBLED) + 1];
      i32 low = found[at.state], down = -1;
      for (; at.slot < end; ++at.slot) {
        const u8 kind = edges.kind[at.slot];
        if ((kind & mask) == 0) continue;
        i32 after = edges.target[at.slot] << DOUBLED;
        if (PRODUCT && (kind & apart) != 0) {
          if ((at.state & 1) != 0) continue;
          after |= 1;
        }
        const i32 there = found[after];
        if (there == 0) {
          down = after;
          break;
        }
        low = std::min(low, there);
      }
      found[at.state] = low;
      if (down >= 0) {  // the edge is looked at again afterwards
        calls.push_back(at);
        at = Call{down, edges.first[down >> DOUBLED], number};
        found[down] = number++;
        continue;
      }
      if (low < at.own) {
        waiting.push_back(at.state);
      } else {
        --number;
        while (!waiting.empty() && found[waiting.back()] >= at.own) {
          found[waiting.back()] = component;
          waiting.pop_back();
          --number;
        }
        found[at.state] = component--;
      }
      if (calls.empty()) break;
      at = calls.back();
      calls.pop_back();
    }
  }
  for (i32& one : found) one = states - one;
  return states - component;
}

enum Answer : u8 { NO, YES, UNDECIDED };

// For each pair, whether its target reaches its source over edges in the mask without leaving its
// component. condensed[v] is a component of these edges, order the vertices so that every edge of
// them leads forward or stays in its condensed component, which is in one piece.
//
// 64 pairs of a component at a time: sets of targets travel along the order. Once a component has a
// YES, the rest of its pairs stays UNDECIDED, and so do all where looks (at edges and vertices) are
// spent.
class Reaching {
 public:
  Reaching(const Edges& edges, u8 mask, const i32* component, const i32* condensed,
           const i32* order)
      : edges_(edges), mask_(mask), component_(component), condensed_(condensed), order_(order) {}

  void run(const i32* source, const i32* target, std::size_t pairs, i64 looks,
           std::vector<u8>& answers) {
    constexpr std::size_t CHUNK = 64;
    const std::size_t vertices = static_cast<std::size_t>(edges_.vertices);
    answers.assign(pairs, UNDECIDED);
    begin_.assign(vertices, edges_.vertices);
    end_.assign(vertices, 0);
    for (i32 place = 0; place < edges_.vertices; ++place) {
      const i32 block = condensed_[order_[place]];
      begin_[block] = std::min(begin_[block], place);
      end_[block] = place + 1;
    }
    marks_.assign(vertices, 0);
    for (std::size_t at = 0; at < pairs && looks > 0;) {
      const i32 one = component_[target[at]];
      std::size_t stop = at;
      i32 low = edges_.vertices, high = 0;
      for (; stop < pairs && stop < at + CHUNK && component_[target[stop]] == one; ++stop) {
        low = std::min(low, begin_[condensed_[target[stop]]]);
        high = std::max(high, end_[condensed_[source[stop]]]);
        mark(condensed_[target[stop]], u64{1} << (stop - at));
      }
      looks -= spread(one, low, high);
      bool any = false;
      for (std::size_t i = at; i < stop; ++i) {
        answers[i] = (marks_[condensed_[source[i]]] >> (i - at) & 1) != 0 ? YES : NO;
        any |= answers[i] == YES;
      }
      for (const i32 block : marked_) marks_[block] = 0;
      marked_.clear();
      while (any && stop < pairs && component_[target[stop]] == one) ++stop;
      at = stop;
    }
  }

 private:
  void mark(i32 block, u64 bits) {
    if (marks_[block] == 0) marked_.push_back(block);
    marks_[block] |= bits;
  }
  i64 spread(i32 one, i32 low, i32 high) {
    i64 looks = std::max(high - low, 0);
    for (i32 place = low; place < high; ++place) {
      const i32 vertex = order_[place];
      const u64 bits = marks_[condensed_[vertex]];
      if (bits == 0) continue;
      looks += edges_.first[vertex + 1] - edges_.first[vertex];
      for (u32 slot = edges_.first[vertex]; slot < edges_.first[vertex + 1]; ++slot) {
        const i32 after = edges_.target[slot];
        if ((edges_.kind[slot] & mask_) != 0 && component_[after] == one) {
          mark(condensed_[after], bits);
        }
      }
    }
    return looks;
  }

  const Edges& edges_;
  const u8 mask_;
  const i32* component_;
  const i32* condensed_;
  const i32* order_;
  std::vector<i32> begin_, end_;  // of each condensed component, in the order
  std::vector<u64> marks_;
  std::vector<i32> marked_;
};

}  // namespace graph
