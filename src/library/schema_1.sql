-- Times are microseconds since 1970 in UTC; lists are JSON.

CREATE TABLE sources (
    id          TEXT PRIMARY KEY,
    kind        TEXT NOT NULL,
    title       TEXT,
    site        TEXT,
    added_at    INTEGER NOT NULL,
    cursor      TEXT,                  -- JSON; covers exactly what is stored
    synced_at   INTEGER,               -- last success
    error       TEXT,                  -- of the last try, if it failed
    error_at    INTEGER,
    learned     TEXT,                  -- what repeats across its articles, JSON
    learned_of  TEXT                   -- the state of its articles that this was learned from
) STRICT;

CREATE TABLE articles (
    id             TEXT PRIMARY KEY,
    revision       INTEGER NOT NULL,
    url            TEXT,
    title          TEXT NOT NULL,
    authors        TEXT NOT NULL,
    published      INTEGER,
    updated        INTEGER,
    tags           TEXT NOT NULL,
    -- The source whose content counts where several carry the article.
    content_source TEXT REFERENCES sources (id) ON DELETE SET NULL,
    first_seen     INTEGER NOT NULL,
    changed_at     INTEGER NOT NULL
) STRICT;

CREATE TABLE revisions (
    article_id   TEXT NOT NULL REFERENCES articles (id) ON DELETE CASCADE,
    revision     INTEGER NOT NULL,
    title        TEXT NOT NULL,
    format       TEXT NOT NULL,
    body         TEXT NOT NULL,
    hash         TEXT NOT NULL,
    -- `full`, `linked_page` or `summary`.
    extent       TEXT NOT NULL,
    seen_at      INTEGER NOT NULL,
    PRIMARY KEY (article_id, revision)
) STRICT;

-- Which sources carry an article, in the order in which they were first seen to.
CREATE TABLE memberships (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    source_id  TEXT NOT NULL REFERENCES sources (id) ON DELETE CASCADE,
    article_id TEXT NOT NULL REFERENCES articles (id) ON DELETE CASCADE,
    guid       TEXT,
    first_seen INTEGER NOT NULL,
    last_seen  INTEGER NOT NULL,
    UNIQUE (source_id, article_id)
) STRICT;
CREATE INDEX memberships_of_article ON memberships (article_id, seq);

-- Everything by which an article may be recognised.
CREATE TABLE marks (
    mark       TEXT PRIMARY KEY,
    article_id TEXT NOT NULL REFERENCES articles (id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX marks_of_article ON marks (article_id);

-- 32-bit floats, little-endian.
CREATE TABLE vectors (
    text_hash   BLOB NOT NULL,
    fingerprint TEXT NOT NULL,
    vector      BLOB NOT NULL,
    PRIMARY KEY (fingerprint, text_hash)
) STRICT;
