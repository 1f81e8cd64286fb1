import { expect, test } from "vitest";
import { limitsWith } from "../control.fake.ts";
import { Feed } from "./feed.ts";

function reader() {
  const texts: string[] = [];
  const sink = {
    texts,
    queued: 0,
    isDropped: false,
    write: (bytes: Buffer) => void texts.push(String(bytes)),
    queuedBytes: () => sink.queued,
    drop: () => {
      sink.isDropped = true;
    },
  };
  return sink;
}

test("readers of a topic are told, readers of another are not", () => {
  const feed = new Feed(limitsWith({}));
  const [a, b] = [reader(), reader()];
  feed.open("resources", a);
  feed.open("exchanges of sandbox/jane-42", b);
  feed.tell("resources", "sandbox", { name: "jane-42" });
  expect(a.texts).toEqual(['event: sandbox\ndata: {"name":"jane-42"}\n\n']);
  expect(b.texts).toEqual([]);
});

test("a reader that is slow misses events, and is told how many as soon as it reads again", () => {
  const feed = new Feed(limitsWith({ eventQueuedBytesMax: 100 }));
  const slow = reader();
  feed.open("resources", slow);
  slow.queued = 101;
  for (let i = 0; i < 3; i++) feed.tell("resources", "sandbox", { i });
  feed.heartbeat();
  expect(slow.texts).toEqual([]);
  slow.queued = 0;
  feed.heartbeat();
  expect(slow.texts).toEqual(['event: lagged\ndata: {"missed":3}\n\n', ": heartbeat\n\n"]);
});

test("there are no more streams than are allowed, and one that ends makes room, once", () => {
  const feed = new Feed(limitsWith({ eventStreamsMax: 1 }));
  const opened = feed.open("resources", reader());
  expect(feed.open("resources", reader()).ok).toBe(false);
  if (opened.ok) {
    opened.value();
    opened.value();
  }
  expect(feed.count).toBe(0);
  expect(feed.hasReaders("resources")).toBe(false);
  const last = reader();
  feed.open("resources", last);
  feed.close();
  expect(last.isDropped).toBe(true);
});
