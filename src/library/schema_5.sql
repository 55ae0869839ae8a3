-- Plain text. An article gets it when its source is next read, which an unchanged one is not.
ALTER TABLE articles ADD COLUMN subtitle TEXT;
