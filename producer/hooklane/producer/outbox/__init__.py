"""The transactional outbox: rows that a service wrote in its own transactions become events.

    layout     what the table's columns are called, and where events go
    row        a row, as far as the relay needs it (pure)
    route      from a row to the record of an event, or why it is none (pure)
    share      which buckets a relay may have, beside others (pure)
    desk       which rows may go now, and what waits (pure)
    statements the SQL
    check      whether the table is one that the promises hold for (pure)
    database   a session with PostgreSQL: locks, rows, marks
    listen     NOTIFY
    relay      all of it together

PostgreSQL is reached by psycopg (`hooklane[outbox]`). Only `database` and `listen` import it.
"""
