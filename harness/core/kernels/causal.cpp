// What transactions see of each other's writes under a kind of visibility, and what follows about
// the order of writes.
//
// causal_order(session, reader, writer) -> order
//   A topological order of session order and reads-from, int32 bytes; shorter than the number of
//   transactions if there is none.
// causal_edges(session, reader, key, writer, write_node, write_key, sessions, keys, visibility,
//              order, ints, edges) -> (status, rows, initial)
//   session: int32[n]; the transactions of a session come in the order of their numbers. reader,
//   key, writer: int32[r], by reader; writer -1 is the initial state. write_node, write_key: int32[w],
//   by node. visibility: one of Visibility. order: int32[n], as causal_order gives it; only PAST
//   looks at it. ints: how many clocks may be held at once. edges: how many rows at most.
//   rows: int32[][3]: a visible write's transaction, the read, and whether the write the read saw
//   came before that write in the causal past; each says that the former must come before the
//   latter's writer. initial: int32[][2]: a visible write's transaction, and the read of the initial
//   state that should have seen it. status: 0, or 1 if there are more edges.
#include "arguments.hpp"

#include <algorithm>
#include <climits>
#include <cstdint>
#include <vector>

namespace {

using i32 = std::int32_t;
using i64 = std::int64_t;

// Which writes a read sees, beside the one that it returned.
enum Visibility {
  PAST = 0,              // everything before it in session order and reads-from
  PRAM = 1,              // its session, and the sessions of writers that this session has read, up to there
  OWN = 2,               // what its own session wrote
  WRITERS = 3,           // the sessions of those that this transaction read, up to there
  ATOMIC = 4,            // what its own session wrote, and all that a transaction wrote of which it read
  COMMITTED = 5,         // all that a transaction wrote of which this one has read before
  READ_BEFORE = 6,       // all that a transaction wrote of which its session has read before
  SOURCES = 7,           // all that a transaction wrote of which this one reads
  VISIBILITIES = 8,
};

struct Columns {
  const i32* session;
  const i32* reader;
  const i32* key;
  const i32* writer;
  const i32* write_node;
  const i32* write_key;
  const i32* order;
  std::size_t nodes, reads, writes;
  i32 sessions, keys;
};

struct Edge {
  i32 before, read, later;
};
struct Initial {
  i32 before, read;
};

class Writes {
 public:
  // The writes of each key, by session and then by number; and of each transaction, its keys.
  explicit Writes(const Columns& in) : nodes(in.writes), first(static_cast<std::size_t>(in.keys) + 1, 0) {
    std::vector<std::size_t> count(static_cast<std::size_t>(in.sessions) + 1, 0);
    for (std::size_t i = 0; i < in.writes; ++i) ++count[session(in, i) + 1];
    for (std::size_t s = 1; s < count.size(); ++s) count[s] += count[s - 1];
    std::vector<i32> by_session(in.writes);
    for (std::size_t i = 0; i < in.writes; ++i) by_session[count[session(in, i)]++] = static_cast<i32>(i);
    std::vector<std::size_t> place(static_cast<std::size_t>(in.keys) + 1, 0);
    for (std::size_t i = 0; i < in.writes; ++i) ++place[static_cast<std::size_t>(in.write_key[i]) + 1];
    for (std::size_t k = 1; k < place.size(); ++k) place[k] += place[k - 1];
    std::vector<i32> sorted(in.writes);
    for (const i32 i : by_session) {
      sorted[place[static_cast<std::size_t>(in.write_key[i])]++] = i;
    }
    i32 key = -1, last = -1;
    for (std::size_t i = 0; i < in.writes; ++i) {
      const i32 at = sorted[i];
      nodes[i] = in.write_node[at];
      const i32 owner = in.session[nodes[i]];
      if (in.write_key[at] != key || owner != last) {
        key = in.write_key[at];
        last = owner;
        ++first[static_cast<std::size_t>(key) + 1];
        groups.push_back({owner, i});
      }
    }
    for (std::size_t k = 1; k < first.size(); ++k) first[k] += first[k - 1];
    groups.push_back({-1, in.writes});
  }

  // For each session in [from, until) that writes the key: visit(session, begin, end), the writers
  // in their order.
  template <class Visit>
  void of(i32 key, i32 from, i32 until, Visit visit) const {
    const std::size_t last = first[static_cast<std::size_t>(key) + 1];
    std::size_t g = first[static_cast<std::size_t>(key)];
    if (from > 0) g = group(g, last, from);
    for (; g < last && groups[g].session < until; ++g) {
      visit(groups[g].session, nodes.data() + groups[g].begin, nodes.data() + groups[g + 1].begin);
    }
  }

  // The same for some sessions.
  template <class Visit>
  void of(i32 key, const std::vector<i32>& sessions, Visit visit) const {
    const std::size_t begin = first[static_cast<std::size_t>(key)];
    const std::size_t end = first[static_cast<std::size_t>(key) + 1];
    if (sessions.size() > (end - begin) / 8) return of(key, 0, INT_MAX, visit);
    for (const i32 session : sessions) {
      const std::size_t g = group(begin, end, session);
      if (g == end || groups[g].session != session) continue;
      visit(session, nodes.data() + groups[g].begin, nodes.data() + groups[g + 1].begin);
    }
  }

 private:
  struct Group {
    i32 session;
    std::size_t begin;
  };
  std::vector<i32> nodes;
  std::vector<std::size_t> first;
  std::vector<Group> groups;
  // The first group of these whose session is not below.
  std::size_t group(std::size_t begin, std::size_t end, i32 session) const {
    const auto at = std::lower_bound(groups.begin() + static_cast<i64>(begin), groups.begin() + static_cast<i64>(end),
                                     session, [](const Group& one, i32 s) { return one.session < s; });
    return static_cast<std::size_t>(at - groups.begin());
  }
  static std::size_t session(const Columns& in, std::size_t i) {
    return static_cast<std::size_t>(in.session[in.write_node[i]]);
  }
};

// The rows of each transaction in a column that is sorted by it.
std::vector<std::size_t> starts(const i32* column, std::size_t count, std::size_t nodes) {
  std::vector<std::size_t> first(nodes + 1, 0);
  for (std::size_t i = 0; i < count; ++i) ++first[static_cast<std::size_t>(column[i]) + 1];
  for (std::size_t t = 1; t <= nodes; ++t) first[t] += first[t - 1];
  return first;
}

// The transaction before each in its session, -1 for the first.
std::vector<i32> predecessors(const Columns& in) {
  std::vector<i32> last(static_cast<std::size_t>(in.sessions), -1), before(in.nodes);
  for (std::size_t t = 0; t < in.nodes; ++t) {
    i32& slot = last[static_cast<std::size_t>(in.session[t])];
    before[t] = slot;
    slot = static_cast<i32>(t);
  }
  return before;
}

std::vector<i32> ordered(const Columns& in) {
  bool forward = true;
  for (std::size_t i = 0; i < in.reads && forward; ++i) forward = in.writer[i] < in.reader[i];
  std::vector<i32> order;
  order.reserve(in.nodes);
  if (forward) {
    for (std::size_t t = 0; t < in.nodes; ++t) order.push_back(static_cast<i32>(t));
    return order;
  }
  const std::vector<i32> before = predecessors(in);
  std::vector<i32> after(in.nodes, -1), waits(in.nodes, 0);
  std::vector<std::size_t> first(in.nodes + 1, 0);
  for (std::size_t t = 0; t < in.nodes; ++t) {
    if (before[t] >= 0) {
      after[static_cast<std::size_t>(before[t])] = static_cast<i32>(t);
      ++waits[t];
    }
  }
  for (std::size_t i = 0; i < in.reads; ++i) {
    if (in.writer[i] >= 0) ++first[static_cast<std::size_t>(in.writer[i]) + 1];
  }
  for (std::size_t t = 1; t <= in.nodes; ++t) first[t] += first[t - 1];
  std::vector<i32> readers(first[in.nodes]);
  std::vector<std::size_t> place(first.begin(), first.end() - 1);
  for (std::size_t i = 0; i < in.reads; ++i) {
    if (in.writer[i] < 0) continue;
    readers[place[static_cast<std::size_t>(in.writer[i])]++] = in.reader[i];
    ++waits[static_cast<std::size_t>(in.reader[i])];
  }
  for (std::size_t t = 0; t < in.nodes; ++t) {
    if (waits[t] == 0) order.push_back(static_cast<i32>(t));
  }
  const auto release = [&](i32 t) {
    if (--waits[static_cast<std::size_t>(t)] == 0) order.push_back(t);
  };
  for (std::size_t i = 0; i < order.size(); ++i) {
    const std::size_t t = static_cast<std::size_t>(order[i]);
    if (after[t] >= 0) release(after[t]);
    for (std::size_t j = first[t]; j < first[t + 1]; ++j) release(readers[j]);
  }
  return order;
}

class Edges {
 public:
  Edges(const Columns& in, std::size_t edges_max)
      : in_(in), edges_max_(edges_max), writes_(in), before_(predecessors(in)),
        reads_(starts(in.reader, in.reads, in.nodes)),
        own_(starts(in.write_node, in.writes, in.nodes)) {}

  // False: there are more than were asked for.
  bool run(Visibility visibility, std::size_t ints) {
    sessions_ = visibility != COMMITTED && visibility != READ_BEFORE && visibility != SOURCES;
    switch (visibility) {
      case PAST: return past(ints);
      case COMMITTED: return committed();
      case ATOMIC: return sources() && prefixes(OWN);
      case SOURCES: return sources();
      case READ_BEFORE: return read_before();
      default: return prefixes(visibility);
    }
  }
  std::vector<Edge> edges;
  std::vector<Initial> initial;

 private:
  const Columns& in_;
  const std::size_t edges_max_;
  const Writes writes_;
  const std::vector<i32> before_;
  const std::vector<std::size_t> reads_, own_;
  bool sessions_ = true;  // whether the order of writes contains that of sessions

  bool add(i32 before, std::size_t read) {
    const i32 writer = in_.writer[read];
    if (writer < 0) {
      initial.push_back({before, static_cast<i32>(read)});
    } else if (before == writer) {
      return true;
    } else if (in_.session[before] == in_.session[writer]) {
      // Session order says it already, or else its contrary; but it need not be part of the graph.
      const bool later = before > writer;
      if (later || !sessions_) edges.push_back({before, static_cast<i32>(read), later ? 1 : 0});
    } else {
      edges.push_back({before, static_cast<i32>(read), 0});
    }
    return edges.size() + initial.size() <= edges_max_;
  }

  // The last write of a session that is no later than limit, -1 if there is none.
  static i32 last(const i32* begin, const i32* end, i32 limit) {
    if (limit < *begin) return -1;
    return *(std::upper_bound(begin, end, limit) - 1);
  }

  // Clocks of all transactions for some sessions at a time: as many as there is room for.
  bool past(std::size_t ints) {
    const std::size_t nodes = std::max<std::size_t>(in_.nodes, 1);
    const std::size_t room = std::max<std::size_t>(ints / nodes, 1);
    const i32 width = static_cast<i32>(std::min<std::size_t>(room, static_cast<std::size_t>(in_.sessions)));
    for (i32 from = 0; from < in_.sessions; from += width) {
      const i32 until = std::min(from + width, in_.sessions);
      const std::vector<i32> clocks = clocked(from, until);
      if (!look(clocks, from, until)) return false;
      if (width >= in_.sessions) mark(clocks, from, until, 0, edges.size());
    }
    // The writer of a read may be of a session whose clocks were not there when the edge was found.
    if (width < in_.sessions && !edges.empty()) {
      for (i32 from = 0; from < in_.sessions; from += width) {
        const i32 until = std::min(from + width, in_.sessions);
        mark(clocked(from, until), from, until, 0, edges.size());
      }
    }
    return true;
  }

  std::vector<i32> clocked(i32 from, i32 until) const {
    const std::size_t width = static_cast<std::size_t>(until - from);
    std::vector<i32> clocks(in_.nodes * width, -1);
    for (std::size_t i = 0; i < in_.nodes; ++i) {
      const std::size_t t = static_cast<std::size_t>(in_.order[i]);
      i32* clock = clocks.data() + t * width;
      const auto join = [&](i32 other) {
        const i32* theirs = clocks.data() + static_cast<std::size_t>(other) * width;
        for (std::size_t s = 0; s < width; ++s) clock[s] = std::max(clock[s], theirs[s]);
        const i32 owner = in_.session[other];
        if (owner >= from && owner < until) clock[owner - from] = std::max(clock[owner - from], other);
      };
      if (before_[t] >= 0) join(before_[t]);
      i32 joined = -1;
      for (std::size_t r = reads_[t]; r < reads_[t + 1]; ++r) {
        if (in_.writer[r] >= 0 && in_.writer[r] != joined) join(joined = in_.writer[r]);
      }
    }
    return clocks;
  }

  bool look(const std::vector<i32>& clocks, i32 from, i32 until) {
    const std::size_t width = static_cast<std::size_t>(until - from);
    bool room = true;
    for (std::size_t r = 0; r < in_.reads && room; ++r) {
      const i32* clock = clocks.data() + static_cast<std::size_t>(in_.reader[r]) * width;
      const i32 writer = in_.writer[r];
      writes_.of(in_.key[r], from, until, [&](i32 session, const i32* begin, const i32* end) {
        if (!room) return;
        const i32 visible = last(begin, end, clock[session - from]);
        if (visible < 0 || visible == writer) return;
        // Already before the writer: nothing new.
        if (writer >= 0 &&
            clocks[static_cast<std::size_t>(writer) * width + static_cast<std::size_t>(session - from)] >= visible) {
          return;
        }
        room = add(visible, r);
      });
    }
    return room;
  }

  // later: what the read returned came before the visible write in the causal past.
  void mark(const std::vector<i32>& clocks, i32 from, i32 until, std::size_t begin, std::size_t end) {
    const std::size_t width = static_cast<std::size_t>(until - from);
    for (std::size_t i = begin; i < end; ++i) {
      const i32 writer = in_.writer[edges[i].read], owner = in_.session[writer];
      if (owner < from || owner >= until) continue;
      if (clocks[static_cast<std::size_t>(edges[i].before) * width + static_cast<std::size_t>(owner - from)] >= writer) {
        edges[i].later = 1;
      }
    }
  }

  // Visibility that is a prefix of each session, and does not go on from there. One clock is enough,
  // if the sessions come one after another.
  bool prefixes(Visibility visibility) {
    std::vector<i32> clock(static_cast<std::size_t>(in_.sessions), -1), touched;
    const auto see = [&](i32 node) {
      i32& slot = clock[static_cast<std::size_t>(in_.session[node])];
      if (slot < 0) touched.push_back(in_.session[node]);
      slot = std::max(slot, node);
    };
    const auto forget = [&] {
      for (const i32 session : touched) clock[static_cast<std::size_t>(session)] = -1;
      touched.clear();
    };
    i32 last_session = -1;
    bool room = true;
    for (const i32 self : by_session()) {
      const std::size_t t = static_cast<std::size_t>(self);
      if (visibility != PRAM || in_.session[t] != last_session) forget();
      last_session = in_.session[t];
      // (A session may have read what it wrote only later: its slot may be further already.)
      if (visibility != WRITERS && before_[t] >= 0) see(before_[t]);
      if (visibility != OWN) {
        for (std::size_t r = reads_[t]; r < reads_[t + 1]; ++r) {
          if (in_.writer[r] >= 0) see(in_.writer[r]);
        }
      }
      for (std::size_t r = reads_[t]; r < reads_[t + 1] && room; ++r) {
        writes_.of(in_.key[r], touched, [&](i32 session, const i32* begin, const i32* end) {
          if (!room) return;
          i32 visible = last(begin, end, clock[static_cast<std::size_t>(session)]);
          if (visible == self) visible = last(begin, end, self - 1);
          if (visible >= 0) room = add(visible, r);
        });
      }
      if (!room) return false;
    }
    return true;
  }

  // All transactions, those of a session together and in their order.
  std::vector<i32> by_session() const {
    std::vector<std::size_t> place(static_cast<std::size_t>(in_.sessions) + 1, 0);
    for (std::size_t t = 0; t < in_.nodes; ++t) ++place[static_cast<std::size_t>(in_.session[t]) + 1];
    for (std::size_t s = 1; s < place.size(); ++s) place[s] += place[s - 1];
    std::vector<i32> result(in_.nodes);
    for (std::size_t t = 0; t < in_.nodes; ++t) {
      result[place[static_cast<std::size_t>(in_.session[t])]++] = static_cast<i32>(t);
    }
    return result;
  }

  // Within one transaction: what was read before the read in it. A key is forgotten with its epoch.
  bool committed() {
    Members seen(in_);
    for (std::size_t t = 0; t < in_.nodes; ++t) {
      for (std::size_t r = reads_[t]; r < reads_[t + 1]; ++r) {
        if (!settle(seen, r, t)) return false;
        show(seen, in_.writer[r], t, t);
      }
    }
    return true;
  }

  bool sources() {
    Members seen(in_);
    for (std::size_t t = 0; t < in_.nodes; ++t) {
      for (std::size_t r = reads_[t]; r < reads_[t + 1]; ++r) show(seen, in_.writer[r], t, t);
      for (std::size_t r = reads_[t]; r < reads_[t + 1]; ++r) {
        if (!settle(seen, r, t)) return false;
      }
    }
    return true;
  }

  bool read_before() {
    Members seen(in_);
    std::vector<std::size_t> read_in(static_cast<std::size_t>(in_.keys), SIZE_MAX);
    for (const i32 one : by_session()) {
      const std::size_t t = static_cast<std::size_t>(one), s = static_cast<std::size_t>(in_.session[t]);
      for (std::size_t r = reads_[t]; r < reads_[t + 1]; ++r) {
        if (!order(seen.at(in_.key[r], s), r)) return false;
      }
      for (std::size_t r = reads_[t]; r < reads_[t + 1]; ++r) {
        std::vector<i32>& members = seen.at(in_.key[r], s);
        if (in_.writer[r] < 0 || members.empty()) continue;
        // What it returned stands for them; of a key that it read twice, both together.
        if (read_in[static_cast<std::size_t>(in_.key[r])] != t) members.clear();
        read_in[static_cast<std::size_t>(in_.key[r])] = t;
        members.push_back(in_.writer[r]);
      }
      for (std::size_t r = reads_[t]; r < reads_[t + 1]; ++r) show(seen, in_.writer[r], s, in_.nodes);
    }
    return true;
  }

  // The transactions of which something was read, by the keys that they wrote.
  struct Members {
    explicit Members(const Columns& in)
        : epoch(static_cast<std::size_t>(in.keys), SIZE_MAX), of(static_cast<std::size_t>(in.keys)),
          shown(in.nodes, SIZE_MAX) {}
    std::vector<std::size_t> epoch;
    std::vector<std::vector<i32>> of;
    std::vector<std::size_t> shown;  // the epoch in which each transaction was seen last
    std::vector<i32>& at(i32 key, std::size_t now) {
      const std::size_t k = static_cast<std::size_t>(key);
      if (epoch[k] != now) {
        epoch[k] = now;
        of[k].clear();
      }
      return of[k];
    }
  };

  // Once in an epoch is enough: who has settled a key since stands for all before. reader: the only
  // transaction whose reads matter, or none. Of a writer with many keys (one that made them all,
  // say) only those that it reads are looked at.
  void show(Members& seen, i32 writer, std::size_t now, std::size_t reader) {
    if (writer < 0) return;
    const std::size_t w = static_cast<std::size_t>(writer);
    if (seen.shown[w] == now) return;
    seen.shown[w] = now;
    const std::size_t many = own_[w + 1] - own_[w];
    if (reader < in_.nodes && many > MANY_KEYS && many / MANY_KEYS > reads_[reader + 1] - reads_[reader]) {
      const i32* keys = sorted_keys();
      for (std::size_t r = reads_[reader]; r < reads_[reader + 1]; ++r) {
        if (std::binary_search(keys + own_[w], keys + own_[w + 1], in_.key[r])) {
          seen.at(in_.key[r], now).push_back(writer);
        }
      }
      return;
    }
    for (std::size_t i = own_[w]; i < own_[w + 1]; ++i) seen.at(in_.write_key[i], now).push_back(writer);
  }

  static constexpr std::size_t MANY_KEYS = 16;
  std::vector<i32> sorted_;  // the keys of each transaction, where somebody asked for them

  const i32* sorted_keys() {
    if (sorted_.empty()) {
      sorted_.assign(in_.write_key, in_.write_key + in_.writes);
      for (std::size_t t = 0; t < in_.nodes; ++t) {
        std::sort(sorted_.begin() + static_cast<i64>(own_[t]), sorted_.begin() + static_cast<i64>(own_[t + 1]));
      }
    }
    return sorted_.data();
  }

  // Everybody seen comes before the writer of this read; from here on it stands for them.
  bool settle(Members& seen, std::size_t read, std::size_t now) {
    std::vector<i32>& members = seen.at(in_.key[read], now);
    if (!order(members, read)) return false;
    if (in_.writer[read] >= 0 && !members.empty()) members.assign(1, in_.writer[read]);
    return true;
  }

  bool order(const std::vector<i32>& members, std::size_t read) {
    for (const i32 one : members) {
      if (one != in_.reader[read] && !add(one, read)) return false;
    }
    return true;
  }
};

PyObject* causal_order(PyObject*, PyObject* args) {
  Buffers<3> in;
  if (!PyArg_ParseTuple(args, "y*y*y*", &in.views[0], &in.views[1], &in.views[2])) return nullptr;
  if (!in.of_codes() || in.count(1) != in.count(2)) return refuse("int32 columns, equally long");
  const i64 nodes = static_cast<i64>(in.count(0));
  if (!in.within(0, 0, INT_MAX) || !in.within(1, 0, nodes) || !in.within(2, -1, nodes)) {
    return refuse("a number is that of no transaction");
  }
  Columns columns = {};
  columns.session = in.codes(0);
  columns.reader = in.codes(1);
  columns.writer = in.codes(2);
  columns.nodes = in.count(0);
  columns.reads = in.count(1);
  std::vector<i32> order;
  if (!unlocked([&] {
        for (std::size_t t = 0; t < columns.nodes; ++t) columns.sessions = std::max(columns.sessions, columns.session[t] + 1);
        order = ordered(columns);
      })) {
    return nullptr;
  }
  return bytes_of(order);
}

PyObject* causal_edges(PyObject*, PyObject* args) {
  Buffers<6> in;
  Py_buffer order = {};
  int sessions, keys, visibility;
  long long ints, edges;
  if (!PyArg_ParseTuple(args, "y*y*y*y*y*y*iiiy*LL", &in.views[0], &in.views[1], &in.views[2],
                        &in.views[3], &in.views[4], &in.views[5], &sessions, &keys, &visibility,
                        &order, &ints, &edges)) {
    return nullptr;
  }
  Buffers<1> other;
  other.views[0] = order;
  const std::size_t nodes = in.count(0);
  const i64 many = static_cast<i64>(nodes);
  if (!in.of_codes() || !other.of_codes() || in.count(1) != in.count(2) || in.count(1) != in.count(3) ||
      in.count(4) != in.count(5)) {
    return refuse("int32 columns, equally long");
  }
  if (sessions < 0 || keys < 0 || ints < 0 || edges < 0 || visibility < 0 || visibility >= VISIBILITIES) {
    return refuse("a number is out of its range");
  }
  if (!in.within(0, 0, sessions) || !in.within(1, 0, many) || !in.within(2, 0, keys) ||
      !in.within(3, -1, many) || !in.within(4, 0, many) || !in.within(5, 0, keys) ||
      !in.ascending(1) || !in.ascending(4)) {
    return refuse("a number is that of no session, transaction or key, or rows are not in order");
  }
  if (visibility == PAST) {
    std::vector<bool> there(nodes, false);
    if (other.count(0) != nodes || !other.within(0, 0, many)) return refuse("an order of all transactions");
    for (std::size_t i = 0; i < nodes; ++i) there[static_cast<std::size_t>(other.codes(0)[i])] = true;
    if (std::find(there.begin(), there.end(), false) != there.end()) return refuse("an order of all transactions");
  }
  const Columns columns = {in.codes(0), in.codes(1), in.codes(2), in.codes(3), in.codes(4), in.codes(5),
                           other.codes(0), nodes, in.count(1), in.count(4), sessions, keys};
  std::vector<Edge> rows;
  std::vector<Initial> initial;
  bool whole = false;
  if (!unlocked([&] {
        Edges found(columns, static_cast<std::size_t>(edges));
        whole = found.run(static_cast<Visibility>(visibility), static_cast<std::size_t>(ints));
        rows.swap(found.edges);
        initial.swap(found.initial);
      })) {
    return nullptr;
  }
  return Py_BuildValue("iNN", whole ? 0 : 1, bytes_of(rows), bytes_of(initial));
}

}  // namespace

PyMethodDef causal_methods[] = {
    {"causal_order", causal_order, METH_VARARGS, "A topological order of causality."},
    {"causal_edges", causal_edges, METH_VARARGS, "What visible writes say about the order of writes."},
    {nullptr, nullptr, 0, nullptr}};
