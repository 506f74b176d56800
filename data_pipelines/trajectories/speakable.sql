-- A recorded wording as it may be spoken: on one line, without the signs that part fragments, ASCII only. NULL where nothing is left, or
-- where it holds what no text may: a date, a time of day or a long number, which could be an identifier.
CREATE MACRO speakable(wording) AS
    CASE WHEN NOT regexp_matches(wording, '\d{4}-\d|\d/\d{1,2}/\d|\d:\d\d|\d{6}')
        THEN nullif(trim(regexp_replace(regexp_replace(wording, '[;|\s]+', ' ', 'g'), '[^ -~]', '', 'g')), '')
    END;
