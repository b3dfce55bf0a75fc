"""The tables of the spool's file.

`task` has everything about a task. A drain takes each row once, so its bytes stand beside its
facts: of a table of their own every delivery would fetch and change one page more, and a drain of
a long backlog is slowed down by little else. (A failed attempt writes them again, which costs
less than the attempt did.) `head` is 1 in a lane's first task and in no other, so that what asks
for lanes meets one entry a lane in `task_head`, in the order in which lanes are tried: due before
halted, longest due first, the oldest event first among those that are due equally long (all that
were never attempted are due since `AT_ONCE`). A trigger keeps `head` when tasks come; when some of
a lane go, `remove` moves it once.

But for `task_place` the indexes hold few of the tasks: each index that holds them all is one more
page that a delivery changes.

The seals are crc32 of what stands in the row, since no check of SQLite's looks into it: what was
changed behind its back is then noticed before it is delivered.
A stray's id is when it came: ids are never used again, so that a mark keeps its meaning.
"""

from typing import Final

APPLICATION_ID: Final = 0x484B4C53
"""Says whose file it is, where SQLite keeps it for the purpose ("HKLS")."""

VERSION: Final = 3
"""Kept in `user_version`. A file of another version is thrown away: it is only a cache."""

SCHEMA: Final = (
    """CREATE TABLE task (
        id INTEGER PRIMARY KEY,
        lane BLOB NOT NULL,
        sequence INTEGER NOT NULL,
        head INTEGER NOT NULL,
        partition INTEGER NOT NULL,
        subscription TEXT NOT NULL,
        timestamp_ms INTEGER NOT NULL,
        attempts INTEGER NOT NULL,
        nudge INTEGER NOT NULL,
        due_ms INTEGER NOT NULL,
        halted INTEGER NOT NULL,
        tier TEXT,
        ticket_offset INTEGER,
        seal INTEGER NOT NULL,
        value BLOB NOT NULL,
        value_seal INTEGER NOT NULL
    )""",
    "CREATE UNIQUE INDEX task_place ON task (lane, sequence)",
    """CREATE INDEX task_head ON task (subscription, halted, due_ms, timestamp_ms, lane, partition)
    WHERE head = 1""",
    "CREATE INDEX task_oldest ON task (timestamp_ms) WHERE head = 1",
    "CREATE INDEX task_halted ON task (partition, lane) WHERE head = 1 AND halted = 1",
    "CREATE INDEX task_ticket ON task (partition, tier, ticket_offset) WHERE tier IS NOT NULL",
    """CREATE TRIGGER task_came AFTER INSERT ON task WHEN NEW.head = 1 BEGIN
        UPDATE task SET head = 0 WHERE head = 1 AND id = (
            SELECT id FROM task WHERE lane = NEW.lane AND sequence > NEW.sequence
            ORDER BY sequence LIMIT 1);
    END""",
    """CREATE TABLE stray (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        lane BLOB NOT NULL,
        sequence INTEGER NOT NULL,
        partition INTEGER NOT NULL,
        attempts INTEGER NOT NULL,
        nudge INTEGER NOT NULL,
        due_ms INTEGER NOT NULL,
        halted INTEGER NOT NULL,
        tier TEXT NOT NULL,
        ticket_offset INTEGER NOT NULL
    )""",
    "CREATE UNIQUE INDEX stray_ticket ON stray (partition, tier, ticket_offset)",
    "CREATE INDEX stray_task ON stray (lane, sequence)",
    """CREATE TABLE owed (
        lane BLOB PRIMARY KEY,
        partition INTEGER NOT NULL,
        sequence INTEGER NOT NULL,
        group_id TEXT NOT NULL,
        topic TEXT NOT NULL,
        topic_id TEXT NOT NULL,
        event_partition INTEGER NOT NULL,
        subscription TEXT NOT NULL,
        uid TEXT NOT NULL,
        key BLOB
    ) WITHOUT ROWID""",
    "CREATE INDEX owed_partition ON owed (partition, lane)",
    """CREATE TABLE checkpoint (
        partition INTEGER PRIMARY KEY,
        topic_id TEXT NOT NULL,
        read_offset INTEGER NOT NULL,
        saved_ms INTEGER NOT NULL
    )""",
)
"""Each text is kept by SQLite as it stands here; a file with other texts is thrown away too."""
