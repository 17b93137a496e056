"""The general category of each character, in Unicode 16, as the engine of statsig-python-core 0.24.2 has it.

Python's own table is of another version with each Python, and asking it for every character takes 150 ms, which would
stop the event loop at the first text that is not ASCII. This one takes a millisecond.

The data, written from `unicodedata2` 16.0.0, are the runs of characters with the same category, from U+0000 on: the
index of the category in `CATEGORIES` in one byte, then the length in one byte, or in three after a zero.
"""

import base64
import zlib
from functools import cache

CATEGORIES = [
    "Cc", "Cf", "Cn", "Co", "Cs", "Ll", "Lm", "Lo", "Lt", "Lu", "Mc", "Me", "Mn", "Nd", "Nl", "No", "Pc", "Pd", "Pe",
    "Pf", "Pi", "Po", "Ps", "Sc", "Sk", "Sm", "So", "Zl", "Zp", "Zs",
]  # fmt: skip
Range = tuple[int, int]
"""The first and the last character, as numbers."""


@cache
def category_ranges() -> dict[str, list[Range]]:
    """Return the ranges of characters of each category, in order."""
    found: dict[str, list[Range]] = {name: [] for name in CATEGORIES}
    data, at, low = zlib.decompress(base64.b85decode(_RUNS)), 0, 0
    while at < len(data):
        name, length = CATEGORIES[data[at]], data[at + 1]
        at += 2
        if length == 0:
            length = int.from_bytes(data[at : at + 3], "little")
            at += 3
        found[name].append((low, low + length - 1))
        low += length
    return found


_RUNS = (
    "c-q}rO{`=^6|Oq<bMC!e-PJws-Pe8V&3p6a%?~ro8+Z)!1Bx)wfD#CTQ4EGCMl?|furMLfjll&QckXbdF|1t}4Lf7hH5-WwV~88KtPF_>`kixc_q"
    "_SZC_fI-#pzqOs_v;%=l`5GJ6pDObHIi@WLw(-X11kq(^BVJs>=pu4%vmB0s`JTymi(b#dmh@3w{^2Shnk!wHV1;XER|p@GNY`+M3O-we`HSHHSr"
    "KLset-76N_9^$!QM8oSk4o(|{w)wo}y>%OA{`<L^?ij943E8TtY_e0;54q$S(R8C9affqfs{<`%C*@n${XyId8Ok!AYgx&#W>80f^nUN<^1gD^Vm"
    "iz+vFmfbsJx^zN*5R1mT4eD4=nV4gR#K_&4*MSk2Z~K$M7NaZ^fB4SEdWUPq-a4K!)ftuM1|&<O=o8|K_3zgV5#Cw^6Xopk&WX2;2E(yjavA&*6~"
    "iX+@u!X(K98>-)Q085{utUF;XHtu`+Jh71(GyA$*4&mbcR;5kHkiY-xh^qp6PA-MR>RlARN8Bp)qiZNgj%L~SO^U2+(KS{_m0#lms~PNI-%K8<|~"
    "Ytv3+`C_t-oMRi8s>b7ugfdV|>dj#foMjf6Do{dz4U8FJ37$l#(62GVE`YpK)xd68zH$k(pq%EEW3h9rD$j81M(B&W?+R900WgtZCh~#<H*%O^oG"
    "B;p7&HPquu(JMs^vVuL0n-)VSwy(pU{XCEoDeUsY6T>%#a55-1xQ!aarZsfg2Mm=BsWj(Je>NCe+G3ozmv<B<kl#$1?ALzzZf|bdA${_cX>vC7)f"
    "1bLa~ssB56Fzv~<@?deLc0dK%3p$!Oihv1;)J&9YJxu|Y6(2uLIG}qiPEP2t$*I1_5OJ=}@5ok-eIjuN<8Zzm%!7gvXLbYet;N&H5a$Qs-2VNh-{"
    "TGA$gj!ZfdweZ-5s6h4aUu!Llz2Z06-*x56rs&kYbEob6D!VwcEu>;Mt9eW8S_zW7!nnHkj4(^b8VK4q=34Db24O?>=Goy5x^~lTgRb|6YwX9^>a"
    "ugU^`B>RM?Fh6>3BAO3NAW&0{AdC_EC*fXc{G$38jX6nH3H@jOn-=O*_2A2-6gLhwNnbr3ONyl2E75x>pD)~G7cV2J(r^zb}-gEesq_YULFh%vQw"
    "UI*K!rJ-0q3FMJzX4yPXMtH%qEz3pjjZKfVZsKrz=0ngiOEs^FzT=iPW`K>yz5I22Ue*#fmELG1zDjaMR;vfsV+OPl`674#KO~Zfd<>rE0!|3v&9"
    "2%^;D^ARBcyr_oNlm?2(3T{NlrWzZ>v;CyaydCq9qwCWtZovw@mmkzA#uUQ~wmYD&T2E+vRkDmc`d&W-_vAN_UCu_)gs)dV5HN4yb43(xkf7t&`j"
    "Gw)g{;AE;GNzNcT3NKxi+R0Z#U99*f?o?IJnDr{fw5Mv7wYt#w#8L-v06;%+DO=F=O+5$~aYH^}R6vAG7AdI06yYWQ2{J$P+Zz0tG7k8+{T#*V8Y"
    "NASE^*&^&E6~-6tW?zs;0L9OsH8fx3uLgXcNgFyWK1%y>aaizIj{~7yEU?528~@ug|=bWNq=oyZQ8@u22^;pth9bgt?Sfxwj-$!r?zdjumhP0tW+"
    "|XjBH8Pqs>h}f`1;9n;)f|#v^F`$RWUF_(5AxwUlN3<0RXacVy9_#JYd$0luNn{uxl@F4RfJ?WMvL48`W@L~?gK@fkDZyHG+$#dnHPfdNM_Cu6H)"
    "ldLJ#G8~k3EV7QC!18w2l~Y|TpQDX3LJoFcc`R>~Ut^^PT<ogyBA)LqzrGRV?XuSe8Ffc)wBAjNG1hcHycv?~K6+p^+R<MG4pa8K78i@<HYBw>2w"
    "LB+_lFY1U6Z)`RWgr6^<ygQKJv0&6sCVmu6MdE6ag+6!B*a+{NsB_0s@k+B<WGD(ex&ec6x(Q)pz>ak85d+%$9G1(OfO0HsGXYMy;298@3%Ijd0i"
    "QLJ6{43Z(TErScY)GL<GwkrdrdZYcah*W<u13W!N9;c8}MC^T_Vlky_T)02{zFDN3&ARG7!5)P-K_zc#*D(Ox3rQw}&k|c$j7KCS{OWV1EQRT9O@"
    "ojjT%hs^@O=rqwHtiP-4lpl!gTQ<VoIEArj>ViLGvKLI2ekg*6uRUdBZ;P3(R@%WQmOGn6RC|NRf~D77dNYN-N&is@nE-%ZnS=dc7Fd9hXHQ3$6q"
    ";}sIRDdxOyj;>3S+6b}}capsZ#*^FE_07?VTwNLm3!KHqv&n8fFrX_CB3v&wXcBeY3!SIz49FzNzA9ymhog-V>aP*u1gr=uZTbM06v0(_609l56%"
    "Q;lzf)-sx@YqnM^O_I^}IV?<-r`Q{dTh@bouCKwQKGG~!>uOrC^bm+geHDNa?kQg&w?(`jVC7!InT3r$)FL19;c-6JSA~7O)~s@9Ha|aOkZjM9_T"
    "EL_8&er)Ob4@j0mT9Fcj#mQDTwqzDQP;ZS$bI2o;^Ijn9-EYbJmE5C{w<Sk1rC6M3hEpE=AF_<-W}eCQn<7{q*m`POCeR0=O2bgZQ<pR*@FWY$q#"
    "LS|zxHko77_kKzM0miyiP$=pCNXW_w)AiciAVv;g@j&Lrm<~fc+SoiRGjdeu|{R9f&U3qO_Ovc=VcKQ2=4k$SCS$MB{asmEtmZ^aDf<y&ey0e^xP"
    "+k%Bf+TXXS(-sR*+Z!76DZ9@{O8Feg4mWDO9{y+Sto&RuTO<j{8%s28uLNcPEp0@MP+Lgmo+N4nx*Xs<-mKudk{sD#=&`LfVl*D*SrCJs%U{IZR7"
    "2LnjX|ki>&vCUW0_SxsZ@6p2L+hSXAYj_J>P{9C#x~)F#3TRJe2*VbEt{%2Q-(cW~cbkUo;vK8)1-TiTm}jRF(50N%>dTiD7DDuloQON5AXXc=@~"
    "1a=0s1RB<GVuk9TVb3WuJ<bo)rTT6fhr3a+Mn0Zk=Y4&~UV>D;0UHi8@opPbbwqDw1R%a$XqsuC1G?<!5~$nCjr5^-BaO0e18tyE^*HAww>W8CLi"
    "%907g7dgKCh4aPJ!^OR!?zOIvHaBEfljAFVsjAjXUW+!5ADUl-jV8ZUQ`lcF%C;u_S6JSfn=G2bLNuI2{zI4dXtd2v&>(W%vj@u-r+%LoHqUidya"
    "A#QP7F@m9<DMhsECn8V3IDWRM6th8cOyvvT2TXmKK2boFIagi#z89Fd>-bw2FX3!|{dfGYjefO;I84AF71u95*3w5^B>elJHmkL+c<;~Hyaw00%e"
    "d;S&(G#mOex2_ex`@MCJ7?+p?dn(6iZ7zYBdyoRw8m#v^?dAU65goBtkYrMBwDRYCnk^|H_%O(E%@^W@2O<8i%ZYeJ7GsUQ(#6lbj_-Phl@sdKz+"
    "}$@6YsJAM!)ApojE}+j{zw+`#to1<y9Yr-n}neHi(+(tfek*y8vOt?%_#(9tpUpWB9h#YbE1`a#ap6FV{VE|zx;)PT}8>3~T8BW;j&H#EYCbw0e3"
    "{z*trdTBB%eFW`RE8aNl*wH>89h9qTx4DQEZmkbl;vDtT5<qsbG0;*`k*kW?(3hm0n%h#%;U8&?%bVAnp>IuIB%yc2za#T#WBBX9HfFQ$jh$*wBg"
    "1c*pJW47G@m6y=8a-_J0&p&A>$7bA?;o)h_hM->d#Z(G?L4Un`(GJu{7Qy3=BTGk@jR3CLpPYn=!vYuIZ3?g40;~gUCA1;SIjYkB~~Mxr9r4)Sj2"
    "I2mS?DlDuKU=H0o0z|31nUr)n6%-?oRgc(F&kHSE64E{Ic`ddS{bplJp2S38J@wMUSKmtMqi)RGNqWWe%nWwWU@5nuh`6V_#n(n}L;FrpG>Av!JY"
    "P3ANPxPcX#I!0^1<F~rlP{m5wtPBC`1v0EM-nJsraE`@YF$DBNQgM3WBt!cGBAKVL3~}I%I~u=**DUCxD3{)uKIwpnn9+gy#zPRmK(xheA#t22*m"
    "$*r2n*y&!Mm-lP)3AJEx7*Nzz6tqNylnCiA#A0X{RVQw)**sMau3ztw9tf@{2=jzVfLF#>gBX;q7|X!lvmk!>u_crU>PP?%%#O-yb=(lYTDmbE_%"
    "^}^EISmMFu(%^P~kC0X4z|-|^*u?=>oQY^7nVB>BlPG|YxFGC5n$JoxM8DO~HwP3;ui6Y~twLn!joa0GA5jnPzZRBje(>@B06xJzgSNRL&zsSC#7"
    "Hwi#lJ_sJPRd3Rs*mKC#cEe@>9B}Y|&VEKt+)YO-iKK%0CvNm_Nbr#GsufJ1=AWHK=RS{%h9fJyb~xxgcpNFh`vuy1$q&LZwrgU`jp(&#{&D{1LX"
    "xNk0Y+Pm7I54;z2`b%S)ld}3<AmA~MI=9LX226)$&*q3=hoWsvxPi9+2e+?KtvZj9H8GK`&__GA(ZTk%UAiYCo`X2J(_x_1gczFB^>kBdV"
)
