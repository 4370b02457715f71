"""The works that a methods paragraph cites, by the words that cite them."""

import re

REFERENCES = {
    "Bonett and Price 2012": "D. G. Bonett and R. M. Price, Adjusted Wald confidence interval for a difference of "
    "binomial proportions based on paired data, Journal of Educational and Behavioral Statistics 37, 479-488 (2012), "
    "https://doi.org/10.3102/1076998611411915",
    "Brier 1950": "G. W. Brier, Verification of forecasts expressed in terms of probability, Monthly Weather Review "
    "78, 1-3 (1950), https://doi.org/10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2",
    "Corani and Benavoli 2015": "G. Corani and A. Benavoli, A Bayesian approach for comparing cross-validated "
    "algorithms on multiple data sets, Machine Learning 100, 285-304 (2015), "
    "https://doi.org/10.1007/s10994-015-5486-z",
    "Figueroa et al. 2012": "R. L. Figueroa, Q. Zeng-Treitler, S. Kandula and L. H. Ngo, Predicting sample size "
    "required for classification performance, BMC Medical Informatics and Decision Making 12, 8 (2012), "
    "https://doi.org/10.1186/1472-6947-12-8",
    "Guo et al. 2017": "C. Guo, G. Pleiss, Y. Sun and K. Q. Weinberger, On calibration of modern neural networks, "
    "ICML 2017, https://proceedings.mlr.press/v70/guo17a.html",
    "Haralick et al. 1973": "R. M. Haralick, K. Shanmugam and I. Dinstein, Textural features for image "
    "classification, IEEE Transactions on Systems, Man, and Cybernetics SMC-3(6), 610-621 (1973), "
    "https://doi.org/10.1109/TSMC.1973.4309314",
    "He et al. 2016": "K. He, X. Zhang, S. Ren and J. Sun, Deep residual learning for image recognition, CVPR 2016, "
    "https://doi.org/10.1109/CVPR.2016.90",
    "Holm 1979": "S. Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of "
    "Statistics 6(2), 65-70 (1979), https://www.jstor.org/stable/4615733",
    "Howard et al. 2017": "A. G. Howard et al., MobileNets: efficient convolutional neural networks for mobile "
    "vision applications, arXiv:1704.04861 (2017), https://doi.org/10.48550/arXiv.1704.04861",
    "McNemar 1947": "Q. McNemar, Note on the sampling error of the difference between correlated proportions or "
    "percentages, Psychometrika 12, 153-157 (1947), https://doi.org/10.1007/BF02295996",
    "Nadeau and Bengio 2003": "C. Nadeau and Y. Bengio, Inference for the generalization error, Machine Learning 52, "
    "239-281 (2003), https://doi.org/10.1023/A:1024068626366",
    "Northcutt et al. 2021": "C. G. Northcutt, L. Jiang and I. L. Chuang, Confident learning: estimating uncertainty "
    "in dataset labels, Journal of Artificial Intelligence Research 70, 1373-1411 (2021), "
    "https://doi.org/10.1613/jair.1.12125",
    "Ojala et al. 2002": "T. Ojala, M. Pietikäinen and T. Mäenpää, Multiresolution gray-scale and rotation invariant "
    "texture classification with local binary patterns, IEEE Transactions on Pattern Analysis and Machine "
    "Intelligence 24(7), 971-987 (2002), https://doi.org/10.1109/TPAMI.2002.1017623",
    "Pedregosa et al. 2011": "F. Pedregosa et al., Scikit-learn: machine learning in Python, Journal of Machine "
    "Learning Research 12, 2825-2830 (2011), https://jmlr.org/papers/v12/pedregosa11a.html",
    "Stricker and Orengo 1995": "M. A. Stricker and M. Orengo, Similarity of color images, Storage and Retrieval for "
    "Image and Video Databases III, Proc. SPIE 2420, 381-392 (1995), https://doi.org/10.1117/12.205308",
    "Szegedy et al. 2016": "C. Szegedy, V. Vanhoucke, S. Ioffe, J. Shlens and Z. Wojna, Rethinking the Inception "
    "architecture for computer vision, CVPR 2016, https://doi.org/10.1109/CVPR.2016.308",
    "Wilson 1927": "E. B. Wilson, Probable inference, the law of succession, and statistical inference, Journal of "
    "the American Statistical Association 22, 209-212 (1927), https://doi.org/10.1080/01621459.1927.10502953",
}

# Families of extractors whose authors are cited; a name that ends with a dot stands for all that begin so.
FAMILIES = {
    "inception_v3": "Szegedy et al. 2016",
    "mobilenet_0.": "Howard et al. 2017",
    "mobilenet_1.": "Howard et al. 2017",
    "resnet50": "He et al. 2016",
    "resnet101": "He et al. 2016",
    "resnet152": "He et al. 2016",
    "glcm": "Haralick et al. 1973",
    "lbp": "Ojala et al. 2002",
    "color": "Stricker and Orengo 1995",
}


def citation_of(family: str) -> str | None:
    """Who is cited for a family of extractors; None where nobody is known here.

    >>> citation_of("mobilenet_0.50_224"), citation_of("resnet50_v2")
    ('Howard et al. 2017', None)
    """
    for name, who in FAMILIES.items():
        if family == name or (name.endswith(".") and family.startswith(name)):
            return who
    return None


def cited_in(text: str) -> list[str]:
    """The references to those whom `text` names, with or without a year, in the order in which it does.

    >>> [one[:9] for one in cited_in("Wilson's interval, corrected (Holm 1979)")]
    ['E. B. Wil', 'S. Holm, ']
    """
    found = []
    for words, reference in REFERENCES.items():
        mention = re.search(rf"\b{re.escape(words.rpartition(' ')[0])}(?!\w)", text)
        if mention:
            found.append((mention.start(), reference))
    return [reference for _, reference in sorted(found)]
