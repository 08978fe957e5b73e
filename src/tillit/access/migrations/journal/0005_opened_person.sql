-- A hash of every id that was theirs when they were opened: with another the opening has ended.
ALTER TABLE break_glass ADD COLUMN person {text} NOT NULL DEFAULT '';
