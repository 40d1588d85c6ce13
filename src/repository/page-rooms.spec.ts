import { describe, expect, it } from 'vitest';
import { PageRooms } from './page-rooms.js';

const MIB = 1024 * 1024;

describe('PageRooms', () => {
  it('gives a room again to whoever wants one of about its size, and never to two', () => {
    const rooms = new PageRooms();
    const first = rooms.take(3 * MIB);
    expect(first.length).toBeGreaterThanOrEqual(3 * MIB);
    rooms.give(first);
    expect(rooms.take(MIB)).not.toBe(first);
    expect(rooms.take(4 * MIB)).not.toBe(first);
    expect(rooms.take(2 * MIB)).toBe(first);
    expect(rooms.take(2 * MIB)).not.toBe(first);
  });

  it('keeps no more than 96 MiB', () => {
    const rooms = new PageRooms();
    const taken = Array.from({ length: 13 }, () => rooms.take(8 * MIB));
    for (const room of taken) rooms.give(room);
    const again = Array.from({ length: 13 }, () => rooms.take(8 * MIB));
    expect(again.filter((room) => taken.includes(room))).toHaveLength(12);
  });
});
