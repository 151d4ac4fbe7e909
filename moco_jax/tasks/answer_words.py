"""The words by which outputs state answers, in the languages that datasets are written in.

Every name is the inside of a regular expression: alternatives without the group around them. They
are matched without regard to case.
"""

_LATIN = (
    r"answers?|solution|antwort|lösung|réponse|respuesta|solución|resposta|solução|gabarito"
    r"|risposta|soluzione|antwoord|svaret|svar|răspunsul|răspuns|odpowiedź|odpověď|odgovor|válasz"
    r"|cevabı|cevap|yanıt|đáp án|câu trả lời|jawabannya|jawaban|jibu|ìdáhùn|idahun|impendulo"
    r"|ответ|відповідь|одговор|απάντηση|תשובה"
    r"|الإجابة|الاجابة|الجواب|إجابة|اجابة|جواب|پاسخ|उत्तर|উত্তর|సమాధానం"
)
_UNSPACED = r"答案|回答|答え|正解|解答|정답|답변|답|คำตอบ|ค\u0e4d\u0e32ตอบ"
ANSWER = rf"(?:(?<!\w)(?:{_LATIN})(?!\w)|(?:{_UNSPACED}))"
"""Nouns for an answer; those of scripts without blanks may touch their neighbours."""

OPTION = (
    r"(?:(?<!\w)(?:option|choice|letter|buchstabe|opción|letra|opção|alternativa|opzione|lettera"
    r"|lettre|optie|opcja|možnost|seçenek|şık|lựa chọn|phương án|pilihan|opsi|chaguo|вариант|буква"
    r"|варіант|الخيار|الحرف|विकल्प|বিকল্প)(?!\w)|选项|選項|選択肢|선택지|보기|ตัวเลือก|ข้อ)"
)
"""Nouns for one of the options."""

COPULA = (
    r"is|are|was|be|ist|lautet|wäre|est|serait|es|está|sería|è|sarebbe|é|seria|är|este|jest|brzmi"
    r"|je|to"
    r"|là|adalah|ni|αποτελεί|είναι|это|—|هي|هو|है|হল|হলো"
)
_UNSPACED_COPULA = r"应该是|應該是|应为|應為|应是|就是|是|为|為|は|은|는|이|คือ"
IS = rf"(?:(?:{COPULA})(?!\w)|(?:{_UNSPACED_COPULA}))"
"""What stands between such a noun and the answer."""

_CORRECT = (
    r"(?:correct|right|true|best|richtige?|korrekte?|correcte?|bonne|juste|exacte"
    r"|correct[ao]|corret[ao]|corrett[ao]|esatt[ao]|giust[ao]|juist|rätt|corectă?|poprawn[ay]"
    r"|prawidłow[ay]|správn[áaě]"
    r"|tačan|helyes|doğru(?:dur)?|đúng|benar|sahihi|верно|верна|верен|верный|верным|правильно"
    r"|правильный|правильным|правильна|правильна|σωστή|الصحيحة|الصحيح|صحيحة|صحيح|सही|সঠিক)"
)
CORRECT_UNSPACED = r"(?:正确|正確|正しい|正解|맞|옳|정답|ถูกต้อง|ถูก)"
CORRECT = rf"(?:(?<!\w){_CORRECT}(?!\w)|{CORRECT_UNSPACED})"
WRONG = (
    r"(?:(?:also |clearly |therefore |definitely |simply |also )?(?:wrong|incorrect|false|out"
    r"|eliminated|ruled out|falsch|inkorrekt|faux|fausse|incorrecte|incorrect[ao]|fals[ao]"
    r"|errad[ao]|sbagliat[ao]|errat[ao]|onjuist|fout|fel|błędn[ay]|špatn[áaě]|hibás"
    r"|yanlış(?:tır)?|sai|salah"
    r"|неверно|неверный|неверна|неверен|неправильно|неправильный|неправильна|ложно|хибн\w{1,3}"
    r"|خاطئة|خاطئ|خطأ|गलत|ভুল)(?!\w)|错误|錯誤|错|不对|不正确|誤り|間違い|間違って|틀|오답|ผิด)"
)
"""What is said of options that are the answer, and that are not."""

NOT = (
    r"(?:(?:not|isn't|does not|doesn't|cannot|can't|never|nicht|kein|pas|n'est pas|no es|não|non è"
    r"|niet|inte|nu este|nie jest|není|nem|değil|không|bukan|не|ليست|ليس|नहीं|নয়)(?!\w)"
    r"|不是|不能|并非|ではない|ではありません|が?正しくない|아니|ไม่)"
)
"""Negations behind an option."""

NOT_BEFORE = (
    r"not|nor|isn't|aren't|never|except|neither|rather than|instead of|unlike|nicht|statt|kein|pas"
    r"|plutôt que|en lugar de|não|em vez de|non|piuttosto che|niet|inte|nie|není|değil|không phải"
    r"|bukan|не|вместо|ليس|ليست|وليس"
)
"""Negations in front of one, with a blank between; `NOT_TOUCHING` need none."""
NOT_TOUCHING = r"不是|并非|而不是|而非|不选|不選|ไม่ใช่"

BECAUSE = (
    r"because|since|as|is|and|with|for|which|due|given|but|over|rather|instead|here|remains|fits"
    r"|weil|da|denn|und|ist|car|parce|puisque"
    r"|est|porque|ya|pues|es|pois|perché|poiché|omdat|want|eftersom|pentru|ponieważ|gdyż|protože"
    r"|mert|çünkü|vì|karena|kwa|потому|так|поскольку|бо|لأن|क्योंकि|কারণ|है|ہے|است|হয়"
)
"""What may follow a stated letter without a comma."""

CHOOSE = (
    r"(?:(?<!\w)(?:i'd say|i would say|choose|chose|chosen|choosing"
    r"|pick|picked|picking|select|selected|selecting|go with|going with|opt for|settle on"
    r"|vote for|wähle|nehme|choisis|sélectionne|opte pour|elijo|escojo"
    r"|selecciono|opto por|escolho|seleciono|scelgo|seleziono|kies|väljer|aleg|wybieram|vybírám"
    r"|választom|seçiyorum|chọn|memilih|выбираю|вибираю|обираю|أختار|चुनता|चुनती)(?!\w)"
    r"|故选|應選|应选|选择|選擇|选|選)"
)
"""Verbs by which an option is taken."""

THUS = (
    r"(?:(?<!\w)(?:so|therefore|thus|hence|leaves|leaving|leaves us with|left with|remains|only"
    r"|we get|gives|also|daher|deshalb|bleibt|donc|reste|alors|por lo tanto|así que"
    r"|entonces|queda|portanto|logo|resta|quindi|dunque|dus|alltså|deci|więc|zatem|takže|tehát"
    r"|yani|vậy|jadi|значит"
    r"|следовательно|поэтому|отже|إذن|لذلك|अतः|इसलिए|তাই)(?!\w)|因此|所以|故|よって|したがって"
    r"|따라서|그러므로|ดังนั้น)"
)
"""What introduces a conclusion."""
