-- What was asked and answered, alone or in a conversation, and what its reader thinks of it.
CREATE TABLE conversations (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    started_at INTEGER NOT NULL
) STRICT;

CREATE TABLE answers (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    conversation_id INTEGER REFERENCES conversations (id) ON DELETE CASCADE,
    answered_at     INTEGER NOT NULL,
    question        TEXT NOT NULL,
    -- The question as it was searched for, where it followed up on an earlier one.
    standalone      TEXT,
    answer          TEXT NOT NULL          -- JSON, as `ask --json` prints it
) STRICT;
CREATE INDEX answers_of_conversation ON answers (conversation_id, id);

CREATE TABLE feedback (
    answer_id INTEGER PRIMARY KEY REFERENCES answers (id) ON DELETE CASCADE,
    given_at  INTEGER NOT NULL,
    verdict   TEXT NOT NULL,               -- `good` or `bad`
    note      TEXT
) STRICT;
